//go:build !linux

package milter

import "net"

// quickAck does nothing: the option exists on Linux only.
func quickAck(net.Conn) func() { return func() {} }
