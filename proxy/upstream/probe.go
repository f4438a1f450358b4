package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/mailweir/mailweir/filters"
)

// Report is what a probe has found out about one server of a group. What the
// server says in it is one line each, of any printable or other characters but
// for control ones.
type Report struct {
	Group, Server string
	Error         error // why there is no more to tell; nil if all was asked

	Greeting string
	Keywords []string // that a client would be offered, with their arguments, if all are relayed
	TLS      *Encryption
	TLSError error // why opportunistic TLS was done without

	Identity Identity
	Taken    bool // the server takes from us who the client is

	Relay  Relay
	Reply  string // that shows it
	Advice string // what to do about it, "" for nothing
}

// Relay is whether a server takes mail for elsewhere from a client that may not
// send any.
type Relay uint8

// What a probe finds out about it.
const (
	NotTested    Relay = iota
	RelayRefused       // as it should be
	RelayUnclear       // refused, but for the time being, or for another reason
	RelayOpen          // whoever reaches us may send anywhere
)

// String returns the result in words.
func (r Relay) String() string {
	switch r {
	case RelayRefused:
		return "refused"
	case RelayUnclear:
		return "not clear"
	case RelayOpen:
		return "open"
	}
	return "not tested"
}

// Open reports whether whoever reaches us may send anywhere.
func (r Relay) Open() bool { return r == RelayOpen }

// Bad reports whether something is to be put right.
func (r *Report) Bad() bool { return r.Error != nil || r.TLSError != nil || r.Relay == RelayOpen }

// outsider is nobody's address (RFC 5737), and so nobody that a server trusts.
var outsider = netip.MustParseAddrPort("198.51.100.1:50000")

// Probe connects to each server that the group has at the moment, and looks how
// it takes sessions. It sends no message.
func (g *Group) Probe(ctx context.Context, t *Timeouts) []Report {
	o := &opening{Group: g, ctx: ctx, timeouts: t, left: t.Connect}
	list, err := o.find()
	if err != nil {
		return []Report{{Group: g.Name, Error: err}}
	}
	defer g.letGo(list)
	var all []Report
	for _, target := range list {
		p := &probe{Group: g, timeouts: t, report: Report{Group: g.Name, Server: target.name, Identity: g.Identity}}
		p.report.Error = p.run(ctx, target.server, false)
		if g.withoutTLS(p.report.Error) != nil {
			p.report.TLSError = p.report.Error
			p.report.Error = p.run(ctx, target.server, true)
		}
		all = append(all, p.report)
	}
	return all
}

// probe is one look at a server.
type probe struct {
	*Group
	timeouts *Timeouts
	report   Report
}

// run makes a connection, and tries what there is to try.
func (p *probe) run(ctx context.Context, sv *server, plain bool) error {
	o := &opening{Group: p.Group, ctx: ctx, timeouts: p.timeouts, left: p.timeouts.Connect}
	conn, err := o.dial(sv, 1, netip.Addr{})
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	c := newConn(conn, sv.name, func() {})
	defer c.Close()
	c.host, c.plain, c.witness = sv.host, plain, &p.report
	c.use = use{group: p.Group}
	s := p.Group.ownSession(c)
	if p.Identity.Told() {
		s.Client, s.ClientName = outsider, ""
	}
	if err := p.greeted(ctx, c, s); err != nil {
		return err
	}
	return p.tryRelay(c)
}

// greeted brings the connection to where a client's MAIL is next.
func (p *probe) greeted(ctx context.Context, c *Conn, s *filters.Session) error {
	err := p.greet(ctx, c, s, p.timeouts)
	var refused *RefusedError
	if errors.As(err, &refused) {
		p.report.Taken = true
		return fmt.Errorf("%w: the probe comes as %s, have that let in to test more", err, s.Client.Addr())
	}
	if err == nil {
		_, err = p.mustHello(c, p.timeouts)
	}
	if err == nil {
		err = c.Forward(s, p.timeouts)
	}
	p.report.Taken = err == nil
	return err
}

// relayTests are addresses that no server takes mail for, and where no mail
// arrives (RFC 2606 sections 2 and 3; the second domain exists).
var relayTests = []string{"open-relay-test@mailweir.invalid", "open-relay-test@example.com"}

// tryRelay asks for what only those may do whom the server trusts.
func (p *probe) tryRelay(c *Conn) error {
	if p.Identity == Transparent {
		p.report.Advice = "identity transparent shows the server each client's own address, which a probe has none of: try from outside, through mailweir"
		return p.quit(c)
	}
	r, err := c.ask("MAIL FROM:<>", p.timeouts.Mail)
	if err != nil {
		return err
	}
	p.report.Reply, p.report.Relay = short(r), RelayRefused
	if r.Class() == 2 {
		if err := p.tryRecipients(c); err != nil {
			return err
		}
		if _, err := c.ask("RSET", p.timeouts.Other); err != nil {
			return err
		}
	} else if r.Class() != 5 {
		p.report.Relay = RelayUnclear
	}
	p.report.Advice = p.advice(c)
	return p.quit(c)
}

// tryRecipients notes the worst of the replies.
func (p *probe) tryRecipients(c *Conn) error {
	p.report.Relay = NotTested
	for _, address := range relayTests {
		r, err := c.ask("RCPT TO:<"+address+">", p.timeouts.Rcpt)
		if err != nil {
			return err
		}
		result := RelayRefused
		switch enh := enhancedOf(r.Reply().Text); {
		case r.Class() == 2:
			result = RelayOpen
		case r.Class() != 5, enh == [3]uint16{5, 1, 2}, enh == [3]uint16{5, 1, 10}:
			result = RelayUnclear // it may be about the domain, which nobody can send to
		}
		if result > p.report.Relay {
			p.report.Relay, p.report.Reply = result, short(r)
		}
	}
	return nil
}

// advice says what to do about an open relay.
func (p *probe) advice(c *Conn) string {
	switch {
	case p.report.Relay != RelayOpen:
		return ""
	case p.Identity == XCLIENT || p.Identity == PROXY:
		return fmt.Sprintf("it takes mail from %s to anywhere, as from everybody: correct smtpd_relay_restrictions and mynetworks in Postfix, or what is like them elsewhere", outsider.Addr())
	}
	us := c.ownAddress()
	return "it takes mail to anywhere because it comes from " + us + ": take that out of mynetworks in Postfix (relay_from_hosts in Exim, the access table in Sendmail), or tell it who the client is with identity xclient or proxy"
}

func (p *probe) quit(c *Conn) error {
	c.Line([]byte("QUIT"))
	if c.Flush(quitPatience) == nil {
		c.Reply(min(quitPatience, p.timeouts.Other)) // whatever it says
	}
	return nil
}

// Encryption is what is known of TLS with a server.
type Encryption struct {
	Version, Cipher string
	Names           []string  // that the certificate is for
	NotAfter        time.Time // of the certificate
	Verified        bool      // as the configuration wants it; false as well if that takes any certificate
}
