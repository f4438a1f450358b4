//go:build !linux

package peer

import "errors"

// enter fails: there are network namespaces under Linux only.
func enter(string) error { return errors.ErrUnsupported }
