package upstream

import (
	"context"
	"fmt"
	"slices"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/smtp"
)

// xclientAttrs are the attributes of XCLIENT
// (https://www.postfix.org/XCLIENT_README.html), those first that must be in
// the last of several commands: whether we may say XCLIENT is looked up by the
// address in force, and each command voids LOGIN, PROTO and HELO of the one
// before.
var xclientAttrs = []string{"ADDR", "LOGIN", "PROTO", "HELO", "PORT", "DESTADDR", "DESTPORT", "NAME", "REVERSE_NAME"}

// xclient tells by XCLIENT who the client is. The server begins anew then, and
// greets the client.
func (g *Group) xclient(ctx context.Context, c *Conn, s *filters.Session, offered keywords, t *Timeouts) error {
	list, ok := offered.announced("XCLIENT", xclientAttrs)
	if !ok || !slices.Contains(list, "ADDR") {
		return g.notTaken(c, "does not offer XCLIENT")
	}
	lines, err := xclientLines(s, g.namesOf(ctx, s, list), list)
	if err != nil {
		return err
	}
	for _, line := range lines {
		r, err := c.ask(line, t.Greeting)
		switch {
		case err != nil:
			return fmt.Errorf("XCLIENT: %w", err)
		case r.Code == 220:
		case refusesXCLIENT(r):
			return g.notTaken(c, "answered XCLIENT with "+short(r))
		case r.Class() >= 4 && (r.Code != 421 || aboutClient(r)):
			return &RefusedError{c.server, r.Reply()}
		default:
			return fmt.Errorf("reply to XCLIENT: %s", short(r))
		}
	}
	return nil
}

// xclientLines returns the commands that tell of a client, in their order.
func xclientLines(s *filters.Session, called clientNames, announced []string) ([]string, error) {
	var list []string
	for _, name := range xclientAttrs {
		if slices.Contains(announced, name) {
			list = append(list, name)
		}
	}
	lines, err := smtp.SplitAttrs("XCLIENT", attributes(s, called, list), maxCommand)
	slices.Reverse(lines)
	return lines, err
}

// refusesXCLIENT reports whether a reply is about the command, and not the
// greeting that the client gets.
func refusesXCLIENT(r smtp.ServerReply) bool {
	switch r.Code {
	case 500, 501, 502, 503, 504: // RFC 5321 section 4.2.1
		return true
	case 550:
		return enhancedOf(r.Reply().Text) == [3]uint16{5, 7, 0} // Postfix: insufficient authorization
	}
	return false
}
