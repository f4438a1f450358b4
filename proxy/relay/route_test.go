package relay_test

import (
	"context"
	"strings"
	"testing"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/relay"
	"github.com/mailweir/mailweir/proxy/upstream"
)

// routed starts a relay with an upstream for all, one for b.example, and
// perhaps further settings.
func routed(t *testing.T, a, b *fake, change func(*relay.Options)) *rig {
	t.Helper()
	return newTown(t, func(g *groups, o *relay.Options) {
		o.Upstream = g.of("a", a, nil)
		o.Routes = []relay.Route{{Domains: []string{".b.example"}, Upstream: g.of("b", b, nil)}}
		if change != nil {
			change(o)
		}
	})
}

// The domain of the recipient decides, the longest one that fits.
func TestRouteByDomain(t *testing.T) {
	var a, b, c, d *fake
	for _, f := range []**fake{&a, &b, &c, &d} {
		*f = newFake(t, nil)
	}
	r := newTown(t, func(g *groups, o *relay.Options) {
		o.Upstream = g.of("a", a, nil)
		o.Routes = []relay.Route{
			{Domains: []string{".b.example", "xn--bcher-kva.example"}, Upstream: g.of("b", b, nil)},
			{Domains: []string{".c.b.example", "exact.example"}, Upstream: g.of("c", c, nil)},
			{Domains: []string{"d.c.b.example", ".exact.example"}, Upstream: g.of("d", d, nil)},
		}
	})
	for to, want := range map[string]*fake{
		"<x@a.example>":              a,
		"<x@b.example>":              b,
		"<x@B.EXAMPLE>":              b,
		"<x@m.b.example>":            b,
		"<x@ab.example>":             a,
		"<x@example>":                a,
		"<x@c.b.example>":            c,
		"<x@y.z.c.b.example>":        c,
		"<x@d.c.b.example>":          d,
		"<x@e.d.c.b.example>":        c,
		"<x@exact.example>":          c,
		"<x@below.exact.example>":    d,
		"<postmaster>":               a,
		"<x@[192.0.2.1]>":            a,
		"<x@[IPv6:2001:db8::1]>":     a,
		`<"x@b.example"@a.example>`:  a,
		"<@a.example:x@b.example>":   b,
		"<x@xn--bcher-kva.example>":  b,
		"<x@XN--bcher-KVA.example>":  b,
		"<x@b.example.attacker.org>": a,
	} {
		cl := r.greeted()
		cl.talk("MAIL FROM:<s@x.example>", "250", "RCPT TO:"+to, "250", "QUIT", "221")
		raw := to[strings.LastIndex(to, ":x@")+1:]
		if strings.HasPrefix(to, "<@") {
			raw = "<" + raw
		} else {
			raw = to
		}
		for _, f := range []*fake{a, b, c, d} {
			if n := f.count("RCPT TO:" + raw); (n > 0) != (f == want) {
				t.Errorf("%s: an upstream heard of it %d times: %v", to, n, f == want)
			}
			f.note(func() { f.lines = nil })
		}
	}
}

// Domains in UTF-8 are those that they are encoded to.
func TestRouteInUTF8(t *testing.T) {
	with := func(f *fake) { f.keywords = append(f.keywords, "SMTPUTF8") }
	a, b := newFake(t, with), newFake(t, with)
	r := newTown(t, func(g *groups, o *relay.Options) {
		o.Upstream = g.of("a", a, nil)
		o.Routes = []relay.Route{{Domains: []string{".xn--bcher-kva.example"}, Upstream: g.of("b", b, nil)}}
	})
	for _, domain := range []string{"bücher.example", "BÜCHER.example", "a.bücher.example"} {
		c := r.greeted()
		c.talk("MAIL FROM:<s@x.example> SMTPUTF8", "250", "RCPT TO:<x@"+domain+">", "250", "QUIT", "221")
		if n := b.count("RCPT TO:<x@" + domain); n != 1 {
			t.Errorf("%s: its upstream heard of it %d times", domain, n)
		}
	}
}

// A transaction goes where its first recipient does; those of others are asked
// to come again.
func TestRouteGroups(t *testing.T) {
	a, b := newFake(t, nil), newFake(t, nil)
	r := routed(t, a, b, nil)
	c := r.greeted()
	c.say("MAIL FROM:<s@x.example>\r\nRCPT TO:<1@b.example>\r\nRCPT TO:<2@a.example>\r\nRCPT TO:<3@m.b.example>\r\nDATA\r\n",
		"250", "250 2.1.5 Recipient <1", "452 4.5.3", "250 2.1.5 Recipient <3", "354")
	c.say("one\r\n.\r\nMAIL FROM:<s@x.example>\r\nRCPT TO:<2@a.example>\r\nDATA\r\n", "250 2.0.0 Queued", "250", "250", "354")
	c.say("two\r\n.\r\nQUIT\r\n", "250 2.0.0 Queued", "221")
	a.gone()
	b.gone()
	b.wantMails("1 <s@x.example> <1@b.example> <3@m.b.example>: one|")
	a.wantMails("2 <s@x.example> <2@a.example>: two|")
	b.wantHeard("1 EHLO c", "1 MAIL FROM:<s@x.example>", "1 RCPT TO:<1@b.example>", "1 RCPT TO:<3@m.b.example>", "1 DATA", "1 .", "1 QUIT")
	a.wantHeard("1 EHLO c", "1 QUIT", "2 EHLO c", "2 MAIL FROM:<s@x.example>", "2 RCPT TO:<2@a.example>", "2 DATA", "2 .", "2 QUIT")
}

// What the upstream says of the sender is the reply to the recipient who brings
// them together; the next one may have more luck elsewhere.
func TestRouteSenderRefused(t *testing.T) {
	a := newFake(t, nil)
	b := newFake(t, func(f *fake) { f.answer = says("MAIL", "550 5.7.1 Not that sender") })
	var log *keptLog
	r := routed(t, a, b, func(o *relay.Options) { log = keeps(o); o.Chain = newChain(t, o.Log) })
	c := r.greeted()
	c.talk("MAIL FROM:<s@x.example>", "250", "DATA", "503 5.5.1 Send RCPT", "RCPT TO:<1@b.example>", "550 5.7.1 Not that sender",
		"DATA", "554 5.5.1", "MAIL FROM:<t@x.example>", "503 5.5.1 Transaction",
		"RCPT TO:<2@a.example>", "250", "RCPT TO:<3@b.example>", "452 4.5.3", "DATA", "354", "one\r\n.", "250")
	a.wantMails("2 <s@x.example> <2@a.example>: one|")
	log.line(t, "msg=refused", "to=[1@b.example]", "stage=rcpt", "filter=upstream")
	if n := strings.Count(log.String(), "msg=refused"); n != 1 {
		t.Errorf("%d refusals are logged:\n%s", n, log)
	}
}

// 421 to a deferred sender ends the session, and is logged once.
func TestRouteSenderTurnedAway(t *testing.T) {
	a := newFake(t, nil)
	b := newFake(t, func(f *fake) { f.answer = says("MAIL", "421 4.3.2 Going down\r\n"+closes) })
	var log *keptLog
	r := routed(t, a, b, func(o *relay.Options) { log = keeps(o); o.Chain = newChain(t, o.Log) })
	c := r.greeted()
	c.talk("MAIL FROM:<s@x.example>", "250", "RCPT TO:<1@b.example>", "421 4.3.2")
	c.wantEnd()
	a.gone()
	if n := strings.Count(log.String(), "msg=refused"); n != 1 {
		t.Errorf("%d refusals are logged:\n%s", n, log)
	}
}

// Who is refused here does not decide where a message goes, and the upstream
// does not hear of him.
func TestRouteRefusedHere(t *testing.T) {
	a, b := newFake(t, nil), newFake(t, nil)
	r := routed(t, a, b, func(o *relay.Options) {
		o.Chain = newChain(t, o.Log, &rcptVerdicts{"<bad": filters.Refuse("no", 550, [3]uint16{5, 7, 1}, "No")})
	})
	c := r.greeted()
	c.say("MAIL FROM:<s@x.example>\r\nRCPT TO:<bad@b.example>\r\nRCPT TO:<2@a.example>\r\nRCPT TO:<bad@a.example>\r\nDATA\r\n",
		"250", "550", "250", "550", "354")
	c.talk("one\r\n.", "250", "QUIT", "221")
	a.wantMails("1 <s@x.example> <2@a.example>: one|")
	b.wantHeard()
}

// A message that is discarded here no upstream hears of further.
func TestRouteDiscarded(t *testing.T) {
	a, b := newFake(t, nil), newFake(t, nil)
	r := routed(t, a, b, func(o *relay.Options) {
		o.Chain = newChain(t, o.Log, &rcptVerdicts{"<drop": {Action: filters.Discard}})
	})
	c := r.greeted()
	for _, first := range []string{"<drop@b.example>", "<1@b.example>"} {
		c.talk("MAIL FROM:<s@x.example>", "250", "RCPT TO:"+first, "250", "RCPT TO:<drop@b.example>", "250",
			"RCPT TO:<2@a.example>", "250", "DATA", "354", "one\r\n.", "250 2.0.0")
	}
	c.talk("MAIL FROM:<s@x.example>", "250", "RCPT TO:<2@a.example>", "250", "DATA", "354", "two\r\n.", "250", "QUIT", "221")
	a.gone()
	b.gone()
	b.wantHeard("1 EHLO c", "1 MAIL FROM:<s@x.example>", "1 RCPT TO:<1@b.example>", "1 QUIT")
	b.wantMails()
	a.wantMails("2 <s@x.example> <2@a.example>: two|")
}

// rcptVerdicts finds what it is told to of recipients that begin so.
type rcptVerdicts map[string]filters.Verdict

func (f *rcptVerdicts) Rcpt(_ context.Context, _ *filters.Transaction, to *filters.Path) filters.Verdict {
	for begin, v := range *f {
		if strings.HasPrefix(to.Raw, begin) {
			return v
		}
	}
	return filters.Verdict{}
}

// A first recipient who is not taken must not keep those of other upstreams
// waiting: if he is refused for now again and again, they would never get it.
func TestRouteFirstNotTaken(t *testing.T) {
	for _, pipelined := range []bool{false, true} {
		a := newFake(t, func(f *fake) { f.answer = says("RCPT TO:<full", "452 4.2.2 Full") })
		b := newFake(t, nil)
		r := routed(t, a, b, nil)
		c := r.greeted()
		lines := []string{"MAIL FROM:<s@x.example>", "250", "RCPT TO:<full@a.example>", "452 4.2.2", "RCPT TO:<1@b.example>", "250",
			"RCPT TO:<2@a.example>", "452 4.5.3", "DATA", "354"}
		if pipelined {
			c.say("MAIL FROM:<s@x.example>\r\nRCPT TO:<full@a.example>\r\nRCPT TO:<1@b.example>\r\nRCPT TO:<2@a.example>\r\nDATA\r\n",
				"250", "452 4.2.2", "250", "452 4.5.3", "354")
		} else {
			c.talk(lines...)
		}
		c.talk("one\r\n.", "250", "QUIT", "221")
		b.wantMails("1 <s@x.example> <1@b.example>: one|")
		a.gone()
		a.wantMails()
	}
}

// Recipients who have to come again are no errors of the client.
func TestRouteManyOthers(t *testing.T) {
	a, b := newFake(t, nil), newFake(t, nil)
	r := routed(t, a, b, func(o *relay.Options) { o.MaxErrors = 5 })
	c := r.greeted()
	c.say("MAIL FROM:<s@x.example>\r\nRCPT TO:<1@b.example>\r\n"+strings.Repeat("RCPT TO:<2@a.example>\r\n", 50)+"DATA\r\n",
		append(append([]string{"250", "250"}, strings.Fields(strings.Repeat("452 ", 50))...), "354")...)
	c.talk("one\r\n.", "250")
	b.wantMails("1 <s@x.example> <1@b.example>: one|")
}

// Who has logged in has done so at the listener's upstream, and stays there.
func TestRouteLoggedIn(t *testing.T) {
	with := func(f *fake) { f.keywords = append(f.keywords, "AUTH PLAIN") }
	for _, before := range [][]string{
		nil,
		{"MAIL FROM:<s@x.example>", "250", "RCPT TO:<1@b.example>", "250", "RSET", "250"},
	} {
		a, b := newFake(t, with), newFake(t, with)
		r := routed(t, a, b, nil)
		c := r.greeted()
		c.talk(before...)
		c.talk("AUTH PLAIN AGpvZQBzZWNyZXQ=", "235", "MAIL FROM:<s@x.example>", "250", "RCPT TO:<1@b.example>", "250",
			"RCPT TO:<2@a.example>", "250", "DATA", "354", "one\r\n.", "250", "QUIT", "221")
		a.gone()
		b.gone()
		if b.count("AUTH") > 0 || a.count("AUTH") != 1 {
			t.Errorf("the secret was told to\n%s", b.heard())
		}
		b.wantMails()
		if n := len(a.texts()); n != 1 {
			t.Errorf("the listener's upstream has %d messages", n)
		}
	}
}

// Verbs outside of transactions are for the listener's upstream.
func TestRouteOtherVerbs(t *testing.T) {
	a, b := newFake(t, nil), newFake(t, nil)
	r := routed(t, a, b, nil)
	c := r.greeted()
	c.talk("MAIL FROM:<s@x.example>", "250", "VRFY x", "252", "RCPT TO:<1@b.example>", "250", "VRFY y", "252", "NOOP", "250",
		"RSET", "250", "VRFY z", "252", "MAIL FROM:<s@x.example>", "250", "RCPT TO:<1@b.example>", "250",
		"EHLO d", "250", "MAIL FROM:<s@x.example>", "250", "RCPT TO:<2@a.example>", "250", "QUIT", "221")
	a.gone()
	b.gone()
	if n := a.count("VRFY x") + a.count("VRFY z"); n != 2 {
		t.Errorf("the listener's upstream was not asked:\n%s\nbut\n%s", a.heard(), b.heard())
	}
	if strings.Contains(b.heard(), "EHLO d") {
		t.Errorf("the other upstream was greeted:\n%s", b.heard())
	}
}

// Chunks go where the transaction does.
func TestRouteChunks(t *testing.T) {
	a, b := newFake(t, nil), newFake(t, nil)
	r := routed(t, a, b, nil)
	c := r.greeted()
	c.say("MAIL FROM:<s@x.example>\r\nBDAT 3\r\nab\n", "250", "503 5.5.1 Send RCPT")
	c.say("RCPT TO:<1@b.example>\r\nBDAT 5\r\none\r\nBDAT 5 LAST\r\ntwo\r\n", "250", "250", "250")
	b.wantMails("1 <s@x.example> <1@b.example>: one|two|")
}

// Each transaction's upstream hears who the client is, before each MAIL.
func TestRouteForwards(t *testing.T) {
	with := func(f *fake) { f.keywords = append(f.keywords, "XFORWARD NAME ADDR PROTO HELO") }
	a, b := newFake(t, with), newFake(t, with)
	forward := func(o *upstream.Options) { o.Identity = upstream.XFORWARD }
	r := newTown(t, func(g *groups, o *relay.Options) {
		o.Upstream = g.of("a", a, forward)
		o.Routes = []relay.Route{{Domains: []string{"b.example"}, Upstream: g.of("b", b, forward)}}
	})
	c := r.greeted()
	for range 2 {
		c.talk("MAIL FROM:<s@x.example>", "250", "RCPT TO:<1@b.example>", "250", "DATA", "354", "one\r\n.", "250")
	}
	c.talk("QUIT", "221")
	b.gone()
	client := "1 XFORWARD NAME=[UNAVAILABLE] ADDR=127.0.0.1 PROTO=ESMTP HELO=c"
	turn := []string{client, "1 MAIL FROM:<s@x.example>", "1 RCPT TO:<1@b.example>", "1 DATA", "1 ."}
	b.wantHeard(append(append(append([]string{"1 EHLO weir.example", "1 EHLO c"}, turn...), turn...), "1 QUIT")...)
}
