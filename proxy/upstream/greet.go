package upstream

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/smtp"
)

// greet brings a fresh connection to where the client's own greeting is next:
// encrypted, if it is to be, and told who the client is. Its error is an
// *IdentityError or a *RefusedError where that is what went wrong. The caller
// closes the connection then.
func (g *Group) greet(ctx context.Context, c *Conn, s *filters.Session, t *Timeouts) error {
	c.lmtp = g.LMTP
	if g.Identity == PROXY {
		if err := g.sendHeader(c, s, t); err != nil {
			return err
		}
	}
	if g.TLS == ImplicitTLS {
		if err := g.handshake(c, t); err != nil {
			return err
		}
	}
	if err := g.welcome(c, t); err != nil {
		return err
	}
	var offered *keywords // nil while the server has not told, or must be asked anew
	if g.TLS == RequireTLS || g.TLS == Opportunistic && !c.plain {
		var err error
		if offered, err = g.startTLS(c, t); err != nil {
			return err
		}
	}
	return g.identify(ctx, c, s, offered, t)
}

// welcome reads the greeting.
func (g *Group) welcome(c *Conn, t *Timeouts) error {
	r, err := c.Reply(t.Greeting)
	if err == nil {
		c.witness.greeting(r)
	}
	switch {
	case err == nil && r.Code == 220 && c.Buffered() > 0 && g.Identity == PROXY:
		return g.notTaken(c, "said more than its greeting")
	case err == nil && r.Code == 220 && c.Buffered() > 0:
		return fmt.Errorf("behind the greeting: %w", ErrStray)
	case err == nil && r.Code == 220:
		return nil
	case err == nil:
		return g.unwelcome(c, r)
	case g.Identity == PROXY && g.TLS != ImplicitTLS && !errors.Is(err, os.ErrDeadlineExceeded):
		return g.notTaken(c, "did not greet: "+err.Error())
	}
	return fmt.Errorf("no greeting: %w", err)
}

// identify tells who the client is, where that takes commands. offered are the
// server's keywords, nil if it has to be asked for them.
func (g *Group) identify(ctx context.Context, c *Conn, s *filters.Session, offered *keywords, t *Timeouts) error {
	switch g.Identity {
	case NoIdentity, Transparent:
		return nil
	case PROXY:
		if c.greeted {
			return nil // so the header was taken
		}
	}
	if offered == nil {
		var err error
		if offered, err = g.mustHello(c, t); err != nil {
			return err
		}
	}
	switch g.Identity {
	case XCLIENT:
		return g.xclient(ctx, c, s, *offered, t)
	case XFORWARD:
		return g.mayForward(c, *offered)
	}
	return nil
}

// mustHello is hello that has to succeed.
func (g *Group) mustHello(c *Conn, t *Timeouts) (*keywords, error) {
	r, err := g.hello(c, t)
	if err != nil {
		return nil, err
	}
	if r.Code != 250 {
		return nil, fmt.Errorf("reply to %s: %s", g.helloVerb(), r.Reply())
	}
	k := keywordsOf(r.Wire)
	return &k, nil
}

// hello says EHLO or LHLO for ourselves. The reply may be of any code, unless
// we have sent a header: then another one than 250 shows that it was not taken.
func (g *Group) hello(c *Conn, t *Timeouts) (smtp.ServerReply, error) {
	r, err := c.ask(g.helloVerb()+" "+g.Hostname, t.Other)
	if err == nil && r.Code == 250 && g.Identity == PROXY {
		err = c.Ready()
	}
	switch {
	case err == nil && r.Code == 250:
		c.greeted = true
		c.witness.hello(r.Wire)
		return r, nil
	case g.Identity != PROXY || c.greeted || errors.Is(err, os.ErrDeadlineExceeded):
	case err == nil:
		return r, g.notTaken(c, "answered "+g.helloVerb()+" with "+short(r))
	case errors.Is(err, ErrStray):
		return r, g.notTaken(c, "said what nobody asked for")
	default:
		return r, g.notTaken(c, "gave up: "+err.Error())
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", g.helloVerb(), err)
	}
	return r, err
}

func (g *Group) helloVerb() string {
	if g.LMTP {
		return "LHLO"
	}
	return "EHLO"
}

// ask sends a line and waits for its reply. Nothing may be under way before,
// and nothing come behind it.
func (c *Conn) ask(line string, patience time.Duration) (smtp.ServerReply, error) {
	c.Line([]byte(line))
	if err := c.Send(patience); err != nil {
		return smtp.ServerReply{}, err
	}
	r, err := c.Reply(patience)
	if err == nil && c.Buffered() > 0 {
		err = ErrStray
	}
	return r, err
}
