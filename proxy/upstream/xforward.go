package upstream

import (
	"context"
	"fmt"
	"slices"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/smtp"
)

// xforwardAttrs are the attributes of XFORWARD
// (https://www.postfix.org/XFORWARD_README.html).
var xforwardAttrs = []string{"NAME", "ADDR", "PORT", "PROTO", "HELO", "IDENT", "SOURCE"}

// mayForward notes what the server takes with XFORWARD.
func (g *Group) mayForward(c *Conn, offered keywords) error {
	list, ok := offered.announced("XFORWARD", xforwardAttrs)
	if !ok || !slices.Contains(list, "ADDR") {
		return g.notTaken(c, "does not offer XFORWARD")
	}
	c.forward = list
	return nil
}

// Forward tells the server by XFORWARD who the client is, for its log, if that
// is the identity. It is to be called before each MAIL: the server forgets it
// with the transaction.
func (c *Conn) Forward(s *filters.Session, t *Timeouts) error {
	if len(c.forward) == 0 {
		return nil
	}
	if c.names.of != s.ID {
		c.names = c.group.namesOf(context.Background(), s, c.forward) // it ends by itself
	}
	lines, err := smtp.SplitAttrs("XFORWARD", attributes(s, c.names, c.forward), maxCommand)
	if err != nil {
		return err
	}
	for _, line := range lines {
		r, err := c.ask(line, t.Other)
		switch {
		case err != nil:
			return fmt.Errorf("XFORWARD: %w", err)
		case r.Code == 250:
		case r.Code == 421:
			return fmt.Errorf("reply to XFORWARD: %s", short(r))
		default:
			return c.group.notTaken(c, "answered XFORWARD with "+short(r))
		}
	}
	return nil
}
