package relay_test

import (
	"strings"
	"testing"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/relay"
	"github.com/mailweir/mailweir/proxy/upstream"
)

// nobody is where nobody listens.
func nobody(o *upstream.Options) {
	o.Servers = []upstream.Server{{Host: "127.0.0.1", Port: 1, Weight: 1}}
}

// Whatever is wrong with the upstream of one domain, its recipients are to come
// again, and the session goes on with the others, in the same transaction too.
func TestRouteDown(t *testing.T) {
	lists := func(list ...string) func(*fake) {
		return func(f *fake) { f.keywords = list }
	}
	for name, c := range map[string]struct {
		b     func(*fake)
		group func(*upstream.Options)
		reply string
	}{
		"nobody there": {nil, nobody, "451 4.3.0"},
		"greets not":   {func(f *fake) { f.answer = says("", "554 5.3.2 Closed\r\n"+closes) }, nil, "451 4.3.0"},
		"closes":       {func(f *fake) { f.answer = says("EHLO", closes) }, nil, "451 4.3.0"},
		"refuses EHLO": {func(f *fake) { f.answer = says("EHLO", "550 5.7.1 Go away") }, nil, "451 4.3.0"},
		"421 to EHLO":  {func(f *fake) { f.answer = says("EHLO", "421 4.3.2 Down\r\n"+closes) }, nil, "451 4.3.0"},
		"354 to EHLO":  {func(f *fake) { f.answer = says("EHLO", "354 What") }, nil, "451 4.3.0"},
		"stray":        {func(f *fake) { f.answer = says("EHLO", "250 Hi\r\n250 Ho") }, nil, "451 4.3.0"},
		"too little":   {lists("PIPELINING"), nil, "451 4.3.0"},
		"no XFORWARD":  {nil, func(o *upstream.Options) { o.Identity = upstream.XFORWARD }, "451 4.3.0"},
		"not the client": {func(f *fake) { f.answer = says("", "554 5.7.1 Not you\r\n"+closes) },
			func(o *upstream.Options) { o.Identity, o.ProxyVersion = upstream.PROXY, 1 }, "554 5.7.1 Not you"},
		"of no language": {nil, func(o *upstream.Options) { o.LMTP = true }, "451 4.3.0"},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := newFake(t, nil), newFake(t, c.b)
			var log *keptLog
			r := newTown(t, func(g *groups, o *relay.Options) {
				log = keeps(o)
				o.Chain = newChain(t, o.Log)
				o.Upstream = g.of("a", a, nil)
				o.Routes = []relay.Route{{Domains: []string{"b.example"}, Upstream: g.of("b", b, c.group)}}
			})
			cl := r.dial()
			cl.say("", "220")
			cl.talk("EHLO c", "250",
				"MAIL FROM:<s@x.example>", "250", "RCPT TO:<1@b.example>", c.reply, "RCPT TO:<2@a.example>", "250",
				"RCPT TO:<3@b.example>", "452 4.5.3", "DATA", "354", "one\r\n.", "250",
				"MAIL FROM:<s@x.example>", "250", "RCPT TO:<1@b.example>", c.reply, "DATA", "554",
				"RSET", "250", "NOOP", "250", "QUIT", "221")
			a.gone()
			b.gone()
			if len(a.texts()) != 1 || !strings.Contains(a.texts()[0], "<s@x.example> <2@a.example>: one|") {
				t.Errorf("the listener's upstream has %q", a.texts())
			}
			b.wantMails()
			if c.reply == "451 4.3.0" {
				log.line(t, "upstream failed", "during=route")
			}
			if name == "no XFORWARD" { // that is for the administrator to set right
				log.line(t, "level=ERROR", "upstream failed", "identity xforward")
			}
			log.line(t, "msg=refused", "to=[1@b.example]", "stage=rcpt")
		})
	}
}

// A deferred sender's upstream that is lost ends the session with 421, and
// nothing is lost by that: nobody was accepted.
func TestRouteLostAtSender(t *testing.T) {
	for _, reply := range []string{closes, "250 Ok\r\n" + closes, "354 Go on", "garbage", "250 Ok\r\n250 Ok"} {
		a := newFake(t, nil)
		b := newFake(t, func(f *fake) { f.answer = says("MAIL", reply) })
		r := routed(t, a, b, nil)
		c := r.greeted()
		c.talk("MAIL FROM:<s@x.example>", "250", "RCPT TO:<1@b.example>", "421 4.")
		c.wantEnd()
	}
}

// An upstream of a route that has closed meanwhile is replaced unnoticed.
func TestRouteReconnects(t *testing.T) {
	a := newFake(t, nil)
	b := newFake(t, func(f *fake) {
		f.answer = func(n int, line string) string {
			if n == 1 && line == "." {
				return "250 2.0.0 Queued\r\n" + closes
			}
			return ""
		}
	})
	r := routed(t, a, b, nil)
	c := r.greeted()
	turn := []string{"MAIL FROM:<s@x.example>", "250", "RCPT TO:<1@b.example>", "250", "DATA", "354", "one\r\n.", "250"}
	c.talk(turn...)
	b.gone()
	c.talk(turn...)
	c.talk("QUIT", "221")
	b.wantMails("1 <s@x.example> <1@b.example>: one|", "2 <s@x.example> <1@b.example>: one|")
}

// What only the listener's upstream offers is no reason against a route, if no
// transaction rests on it; what one might rest on is withheld, once it is known.
func TestRouteOffers(t *testing.T) {
	a := newFake(t, func(f *fake) {
		f.keywords = []string{"PIPELINING", "AUTH PLAIN", "VRFY", "LIMITS RCPTMAX=5", "ENHANCEDSTATUSCODES", "SIZE 1000", "8BITMIME", "CHUNKING"}
	})
	b := newFake(t, func(f *fake) { f.keywords = []string{"SIZE 500", "8BITMIME", "CHUNKING", "DSN"} })
	r := routed(t, a, b, nil)
	c := r.greeted()
	c.talk("MAIL FROM:<s@x.example> BODY=8BITMIME", "250", "RCPT TO:<1@b.example>", "250", "DATA", "354", "one\r\n.", "250")
	if got, want := c.all("EHLO c"), "250-weir.example|250-AUTH PLAIN|250-SIZE 500|250-8BITMIME|250 CHUNKING"; got != want {
		t.Errorf("offered is %s, want %s", got, want)
	}
	c.talk("MAIL FROM:<s@x.example> SIZE=400", "250", "RCPT TO:<1@b.example>", "250", "DATA", "354", "one\r\n.", "250", "QUIT", "221")
}

// The upstream of a route by LMTP takes no chunks: that is known before anybody
// has talked to it.
func TestRouteOffersLMTP(t *testing.T) {
	a := newFake(t, nil)
	b := newFake(t, func(f *fake) {
		f.lmtp, f.keywords = true, []string{"PIPELINING", "8BITMIME", "SIZE 1000000", "CHUNKING"}
	})
	r := newTown(t, func(g *groups, o *relay.Options) {
		o.Upstream = g.of("a", a, nil)
		o.Routes = []relay.Route{{Domains: []string{"b.example"}, Upstream: g.of("b", b, nil)}}
	})
	c := r.dial()
	c.say("", "220")
	for range 2 {
		if got, want := c.all("EHLO c"), "250-weir.example|250-PIPELINING|250-8BITMIME|250 SIZE 1000000"; got != want {
			t.Errorf("offered is %s, want %s", got, want)
		}
		c.talk("MAIL FROM:<s@x.example>", "250", "RCPT TO:<1@b.example>", "250", "BDAT 0", "502", "DATA", "354", "one\r\n.", "250")
	}
}

// all says a line and returns all lines of the reply.
func (c *client) all(line string) string {
	c.Helper()
	c.say(line + "\r\n")
	var lines []string
	for {
		got, err := c.in.ReadString('\n')
		if err != nil {
			c.Fatal(err)
		}
		lines = append(lines, strings.TrimSuffix(got, "\r\n"))
		if len(got) > 3 && got[3] == ' ' {
			return strings.Join(lines, "|")
		}
	}
}

// The envelope of a held message is made anew at its upstream alone, without
// those whose own could not be had.
func TestRouteHeld(t *testing.T) {
	a := newFake(t, func(f *fake) { f.answer = says("RCPT TO:<no", "550 5.1.1 Nobody") })
	b := newFake(t, nil)
	r := newTown(t, func(g *groups, o *relay.Options) {
		o.Upstream = g.of("a", a, nil)
		o.Routes = []relay.Route{
			{Domains: []string{"b.example"}, Upstream: g.of("b", b, nil)},
			{Domains: []string{"down.example"}, Upstream: g.of("down", b, nobody)},
		}
		o.Chain = newNeedyChain(t, o.Log, filters.WholeMessage|filters.Edits, &stub{eom: func(tx *filters.Transaction) filters.Verdict {
			if err := tx.Edit(filters.ChangeSender{From: filters.Path{Raw: "<new@x.example>"}}); err != nil {
				t.Error(err)
			}
			return filters.Verdict{}
		}})
	})
	c := r.greeted()
	c.say("MAIL FROM:<s@x.example>\r\nRCPT TO:<1@down.example>\r\nRCPT TO:<no@a.example>\r\nRCPT TO:<2@b.example>\r\nRCPT TO:<3@a.example>\r\n"+
		"RCPT TO:<4@b.example>\r\nDATA\r\n", "250", "451", "550", "250", "452", "250", "354")
	c.talk("one\r\n.", "250 2.0.0 Queued", "QUIT", "221")
	b.wantMails("1 <new@x.example> <2@b.example> <4@b.example>: one|")
	a.wantMails()
	b.gone()
	b.wantHeard("1 EHLO c", "1 MAIL FROM:<s@x.example>", "1 RCPT TO:<2@b.example>", "1 RCPT TO:<4@b.example>", "1 RSET",
		"1 MAIL FROM:<new@x.example>", "1 RCPT TO:<2@b.example>", "1 RCPT TO:<4@b.example>", "1 DATA", "1 .", "1 QUIT")
}
