//go:build !linux

package socket

import (
	"errors"
	"net"
	"os"
)

func share(int, int) error {
	return errors.New("reuse_port is for Linux only: set it to false")
}

func accepts(*os.File) bool { return true }

// Yield does nothing here.
func Yield(net.Listener) (shared bool) { return false }

func unsteer(net.Listener) {}
