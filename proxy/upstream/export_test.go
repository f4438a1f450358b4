package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
)

// DialFrom connects from an address.
var DialFrom = dialFrom

// SetDialFrom has connections from the addresses of clients made by another
// function.
func (f *Fleet) SetDialFrom(dial func(ctx context.Context, from netip.Addr, network, address string) (net.Conn, error)) {
	f.dialFrom = dial
}

// NotPermitted is the error of a system that does not let us use the addresses
// of others.
func NotPermitted(err error) error { return fmt.Errorf("%w: %w", errTransparent, err) }

// IsNotPermitted reports whether it is that.
func IsNotPermitted(err error) bool { return errors.Is(err, errTransparent) }

// Known returns how many servers are known.
func (f *Fleet) Known() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.pools {
		n += len(p.servers)
	}
	return n
}
