package upstream

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"github.com/mailweir/mailweir/filters"
)

// check greets a server as a session of our own would, remembers what it offers,
// and says QUIT. The caller closes the connection, whatever came of it.
func (g *Group) check(ctx context.Context, c *Conn, t *Timeouts) error {
	if err := g.greet(ctx, c, g.ownSession(c), t); err != nil {
		return err
	}
	r, err := g.hello(c, t)
	if err != nil {
		return err
	}
	if r.Class() != 2 {
		return fmt.Errorf("reply to %s: %s", g.helloVerb(), short(r))
	}
	g.Learn(r.Wire)
	_, err = c.ask("QUIT", t.Other)
	return err
}

// ownSession is a session of ours: the client is at our end of the connection.
func (g *Group) ownSession(c *Conn) *filters.Session {
	return &filters.Session{
		ID:         "check",
		Hostname:   g.Hostname,
		Client:     endOf(c.conn.LocalAddr()),
		Local:      endOf(c.conn.RemoteAddr()),
		Helo:       g.Hostname,
		ESMTP:      true,
		ClientName: g.Hostname, // so that nobody has to look it up
	}
}

// loopback stands for this machine where a connection has no addresses, such as
// one to a Unix socket.
var loopback = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 25)

func endOf(a net.Addr) netip.AddrPort {
	if tcp, ok := a.(*net.TCPAddr); ok && tcp.AddrPort().IsValid() {
		return netip.AddrPortFrom(tcp.AddrPort().Addr().Unmap(), tcp.AddrPort().Port())
	}
	return loopback
}
