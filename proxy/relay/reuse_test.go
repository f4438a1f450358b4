package relay_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/relay"
	"github.com/mailweir/mailweir/proxy/upstream"
)

// kept has a group keep its connections for later sessions.
func kept(o *upstream.Options) { o.Reuse, o.ReuseIdle = true, time.Minute }

// reusing starts a relay before an upstream whose connections are kept.
func reusing(t *testing.T, f *fake, change func(*relay.Options)) (*rig, *upstream.Fleet) {
	t.Helper()
	var fleet *upstream.Fleet
	r := newTown(t, func(g *groups, o *relay.Options) {
		fleet = g.fleet
		o.Upstream = g.of("a", f, kept)
		if change != nil {
			change(o)
		}
	})
	return r, fleet
}

// one is a whole message.
var one = []string{"MAIL FROM:<s@x>", "250", "RCPT TO:<1@y>", "250", "DATA", "354", "one\r\n.", "250"}

// idle waits until nobody uses a connection.
func (f *fake) idle(fleet *upstream.Fleet) {
	f.Helper()
	for end := time.Now().Add(10 * time.Second); fleet.Held() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			f.Fatal("an upstream connection is in use")
		}
	}
}

// A session gets the connection of the one before it, greets on it anew, and is
// told goodbye by us. At the end it is told QUIT.
func TestReuse(t *testing.T) {
	f := newFake(t, nil)
	r, fleet := reusing(t, f, nil)
	for _, name := range []string{"EHLO c", "HELO d", "EHLO e"} {
		c := r.dial()
		c.say("", "220")
		c.talk(name, "250")
		c.talk(one...)
		c.talk("QUIT", "221 2.0.0 Bye")
		c.wantEnd()
		f.idle(fleet)
	}
	fleet.Close()
	f.gone()
	turn := "1 MAIL FROM:<s@x>\n1 RCPT TO:<1@y>\n1 DATA\n1 .\n"
	if got, want := f.heard(), "1 EHLO c\n"+turn+"1 HELO d\n"+turn+"1 EHLO e\n"+turn+"1 QUIT"; got != want {
		t.Errorf("the upstream heard\n%s\nwant\n%s", got, want)
	}
}

// Sessions at the same time have connections of their own, all of which are kept.
func TestReuseSeveral(t *testing.T) {
	f := newFake(t, nil)
	r, fleet := reusing(t, f, nil)
	for range 3 {
		var list []*client
		for range maxConnections {
			c := r.greeted()
			c.talk(one...)
			list = append(list, c)
		}
		for _, c := range list {
			c.talk("QUIT", "221")
		}
		f.idle(fleet)
	}
	if f.made() != maxConnections {
		t.Errorf("%d connections were made", f.made())
	}
}

// partings are what sessions have done when they end, and how many connections
// that session and the next one take.
var partings = map[string]struct {
	lines []string
	conns int
}{
	"greeting":         {nil, 1},
	"message":          {one, 1},
	"reset":            {[]string{"MAIL FROM:<s@x>", "250", "RCPT TO:<1@y>", "250", "RSET", "250"}, 1},
	"refused sender":   {[]string{"MAIL FROM:<no@x>", "550"}, 1},
	"sender":           {[]string{"MAIL FROM:<s@x>", "250"}, 2},
	"recipient":        {[]string{"MAIL FROM:<s@x>", "250", "RCPT TO:<1@y>", "250"}, 2},
	"DATA refused":     {[]string{"MAIL FROM:<s@x>", "250", "DATA", "503"}, 2},
	"chunk":            {[]string{"MAIL FROM:<s@x>", "250", "RCPT TO:<1@y>", "250", "BDAT 4\r\nab", "250"}, 2},
	"chunks":           {[]string{"MAIL FROM:<s@x>", "250", "RCPT TO:<1@y>", "250", "BDAT 4\r\nab", "250", "BDAT 0 LAST", "250"}, 1},
	"greeting in it":   {[]string{"MAIL FROM:<s@x>", "250", "RCPT TO:<1@y>", "250", "EHLO d", "250"}, 1},
	"logged in":        {[]string{"AUTH PLAIN AGpvZQBzZWNyZXQ=", "235"}, 2},
	"logged in, reset": {[]string{"AUTH PLAIN AGpvZQBzZWNyZXQ=", "235", "RSET", "250", "EHLO d", "250"}, 2},
	"text":             {[]string{"MAIL FROM:<s@x>", "250", "RCPT TO:<1@y>", "250", "DATA", "354", "two"}, 2},
	"AUTH":             {[]string{"AUTH LOGIN", "334"}, 2},
	"verb":             {[]string{"VRFY x", "252", "NOOP", "250"}, 1},
}

// However a session ends, the next one finds no trace of it.
func TestReuseLeavesNothing(t *testing.T) {
	for name, c := range partings {
		for _, end := range []string{"QUIT", "close"} {
			if end == "QUIT" && (name == "text" || name == "AUTH") {
				continue
			}
			t.Run(name+"/"+end, func(t *testing.T) {
				f := newFake(t, func(f *fake) {
					f.keywords = append(f.keywords, "AUTH PLAIN")
					f.answer = func(_ int, line string) string {
						switch line {
						case "MAIL FROM:<no@x>":
							return "550 5.7.1 No"
						case "AUTH LOGIN":
							return "334 "
						}
						return ""
					}
				})
				r, fleet := reusing(t, f, nil)
				cl := r.greeted()
				cl.talk(c.lines[:len(c.lines)&^1]...)
				if len(c.lines)%2 == 1 {
					cl.say(c.lines[len(c.lines)-1])
				}
				if end == "QUIT" {
					cl.talk("QUIT", "221")
				}
				cl.Close()
				f.idle(fleet)
				next := r.greeted()
				next.talk(one...)
				next.talk("QUIT", "221")
				if f.made() != c.conns {
					t.Errorf("%d connections were made, want %d:\n%s", f.made(), c.conns, f.heard())
				}
				if got := f.texts()[len(f.texts())-1]; got != fmt.Sprintf("%d <s@x> <1@y>: one|", c.conns) {
					t.Errorf("the message came as %q", got)
				}
			})
		}
	}
}

// A message that was refused here leaves nothing either.
func TestReuseRefusedHere(t *testing.T) {
	for _, needs := range []filters.Needs{0, filters.WholeMessage} {
		f := newFake(t, nil)
		var agrees atomic.Bool
		r, fleet := reusing(t, f, func(o *relay.Options) {
			o.Chain = newNeedyChain(t, o.Log, needs, &stub{eom: func(*filters.Transaction) filters.Verdict {
				if !agrees.Load() {
					return filters.Refuse("no", 550, [3]uint16{5, 7, 1}, "No")
				}
				return filters.Verdict{}
			}})
		})
		c := r.greeted()
		c.talk("MAIL FROM:<bad@x>", "250", "RCPT TO:<1@y>", "250", "DATA", "354", "two\r\n.", "550", "QUIT", "221")
		f.idle(fleet)
		agrees.Store(true)
		c = r.greeted()
		c.talk(one...)
		if len(f.texts()) != 1 || !strings.HasSuffix(f.texts()[0], " <s@x> <1@y>: one|") {
			t.Errorf("the upstream has %q", f.texts())
		}
	}
}

// An upstream that has left, or is about to, is replaced, and the client does not
// notice. One that is silent is not taken for that.
func TestReuseLeft(t *testing.T) {
	for name, c := range map[string]struct {
		atQuit string // what it does when it is idle
		atEHLO string // or when the next session greets
	}{
		"closed":          {atQuit: closes},
		"421":             {atQuit: "421 4.4.2 Idle\r\n" + closes},
		"421, open":       {atQuit: "421 4.4.2 Idle\r\n"},
		"stray":           {atQuit: "250 What\r\n"},
		"closing":         {atEHLO: closes},
		"421 to EHLO":     {atEHLO: "421 4.4.2 Idle\r\n" + closes},
		"two":             {atEHLO: "421 4.4.2 Idle\r\n250 up.example"},
		"half, closing":   {atEHLO: "250-up.ex" + closes},
		"no reply at all": {atEHLO: "garbage"},
	} {
		t.Run(name, func(t *testing.T) {
			after := make(chan string, 1)
			ehlos := 0
			f := newFake(t, func(f *fake) {
				f.aside = after
				f.answer = func(n int, line string) string {
					if strings.HasPrefix(line, "EHLO") && n == 1 {
						if ehlos++; ehlos == 2 {
							return c.atEHLO
						}
					}
					return ""
				}
			})
			r, fleet := reusing(t, f, nil)
			cl := r.greeted()
			cl.talk(one...)
			cl.talk("QUIT", "221")
			f.idle(fleet)
			if c.atQuit != "" {
				after <- c.atQuit
				f.until(func() bool { return f.said > 0 })
			}
			cl = r.greeted()
			cl.talk(one...)
			cl.talk("QUIT", "221")
			f.wantMails("1 <s@x> <1@y>: one|", "2 <s@x> <1@y>: one|")
		})
	}
}

// A connection that nobody uses is told QUIT after a while.
func TestReuseIdle(t *testing.T) {
	f := newFake(t, nil)
	r := newTown(t, func(g *groups, o *relay.Options) {
		o.Upstream = g.of("a", f, func(o *upstream.Options) { o.Reuse, o.ReuseIdle = true, 50*time.Millisecond })
	})
	c := r.greeted()
	c.talk(one...)
	c.talk("QUIT", "221")
	f.gone()
	if !strings.HasSuffix(f.heard(), "\n1 QUIT") {
		t.Errorf("the upstream heard\n%s", f.heard())
	}
}

// A connection on which much was refused is not kept: the upstream may be weary.
func TestReuseWeary(t *testing.T) {
	f := newFake(t, func(f *fake) { f.answer = says("RCPT TO:<no", "550 5.1.1 Nobody") })
	r, fleet := reusing(t, f, nil)
	for range 2 {
		c := r.greeted()
		c.talk("MAIL FROM:<s@x>", "250")
		for range 6 {
			c.talk("RCPT TO:<no@y>", "550")
		}
		c.talk("RSET", "250", "QUIT", "221")
		f.idle(fleet)
	}
	f.gone()
	c := r.greeted()
	c.talk(one...)
	if f.made() != 2 {
		t.Errorf("%d connections were made", f.made())
	}
}

// A connection tells the upstream of each client, and not of one before it.
func TestReuseForwards(t *testing.T) {
	f := newFake(t, func(f *fake) { f.keywords = append(f.keywords, "XFORWARD NAME ADDR HELO") })
	r := newTown(t, func(g *groups, o *relay.Options) {
		o.Upstream = g.of("a", f, func(o *upstream.Options) { kept(o); o.Identity = upstream.XFORWARD })
		o.XClientFrom = listed("127.0.0.0/8")
	})
	c := r.greeted()
	for i, name := range []string{"one.example", "two.example", "[UNAVAILABLE]"} {
		c.talk(fmt.Sprintf("XCLIENT NAME=%s ADDR=127.0.0.%d", name, i+2), "220", "EHLO "+name[:3], "250")
		c.talk(one...)
		if want := fmt.Sprintf("XFORWARD NAME=%s ADDR=127.0.0.%d HELO=%s", name, i+2, name[:3]); f.count(want) != 1 {
			t.Errorf("the upstream was not told %q:\n%s", want, f.heard())
		}
	}
	if f.made() != 1 {
		t.Errorf("%d connections were made", f.made())
	}
}

// Upstreams of routes are left to others as the listener's own is.
func TestReuseRoutes(t *testing.T) {
	a, b := newFake(t, nil), newFake(t, nil)
	var fleet *upstream.Fleet
	r := newTown(t, func(g *groups, o *relay.Options) {
		fleet = g.fleet
		o.Upstream = g.of("a", a, kept)
		o.Routes = []relay.Route{{Domains: []string{"b.example"}, Upstream: g.of("b", b, kept)}}
	})
	for range 3 {
		c := r.greeted()
		for _, to := range []string{"<1@b.example>", "<2@a.example>", "<3@b.example>"} {
			c.talk("MAIL FROM:<s@x>", "250", "RCPT TO:"+to, "250", "DATA", "354", "one\r\n.", "250")
		}
		c.talk("MAIL FROM:<s@x>", "250", "RCPT TO:<4@b.example>", "250", "QUIT", "221")
		a.idle(fleet)
	}
	if a.made() != 1 || b.made() != 3 {
		t.Errorf("%d and %d connections were made", a.made(), b.made())
	}
	if len(a.texts()) != 3 || len(b.texts()) != 6 {
		t.Errorf("there are %d and %d messages", len(a.texts()), len(b.texts()))
	}
}
