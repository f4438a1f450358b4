package upstream

import (
	"fmt"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/haproxy"
)

// sendHeader sends haproxy's header, the first octets of a connection.
func (g *Group) sendHeader(c *Conn, s *filters.Session, t *Timeouts) error {
	h := haproxy.Header{Source: s.Client, Dest: s.Local, ServerName: s.TLS.ServerName, UniqueID: s.ID}
	if s.TLS != (filters.TLS{}) {
		h.TLS = &s.TLS
	}
	wire, err := haproxy.Append(nil, g.ProxyVersion, h)
	if err != nil {
		return err
	}
	if err := c.Write(wire, t.Other); err != nil {
		return fmt.Errorf("PROXY header: %w", err)
	}
	return nil
}
