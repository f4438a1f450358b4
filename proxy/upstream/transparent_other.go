//go:build !linux

package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
)

// dialFrom fails: only Linux lets us use addresses of others.
func dialFrom(context.Context, netip.Addr, string, string) (net.Conn, error) {
	return nil, fmt.Errorf("identity transparent works on Linux only: %w", errors.ErrUnsupported)
}
