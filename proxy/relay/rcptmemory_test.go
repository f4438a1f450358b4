package relay_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/relay"
	"github.com/mailweir/mailweir/proxy/upstream"
)

// remembers has a group remember the recipients that it has refused.
func remembers(o *upstream.Options) {
	o.Recipients = &upstream.RecipientOptions{TTL: time.Hour, Refresh: time.Hour, Entries: 2000}
}

// remembering starts a relay before an upstream whose refusals are remembered.
func remembering(t *testing.T, f *fake, change func(*relay.Options)) *rig {
	t.Helper()
	return newTown(t, func(g *groups, o *relay.Options) {
		o.Upstream = g.of("a", f, remembers)
		if change != nil {
			change(o)
		}
	})
}

// newTeller starts an upstream that says of <a reply@y> that reply, which the
// map spells out.
func newTeller(t *testing.T, replies map[string]string) *fake {
	t.Helper()
	return newFake(t, func(f *fake) {
		f.keywords = append(f.keywords, "AUTH PLAIN")
		f.answer = func(_ int, line string) string {
			for word, reply := range replies {
				if strings.HasPrefix(line, "RCPT TO:<"+word) {
					return reply
				}
			}
			return ""
		}
	})
}

// Guessing addresses costs the upstream one question for each, however often
// they are guessed, and counts as errors all the same.
func TestRecipientsGuessed(t *testing.T) {
	const guesses, sessions = 1000, 3
	f := newTeller(t, map[string]string{"": "550 5.1.1 Nobody"})
	r := remembering(t, f, func(o *relay.Options) { o.MaxErrors = guesses + 1 })
	for range sessions {
		c := r.greeted()
		c.talk("MAIL FROM:<s@x>", "250")
		for i := range guesses {
			c.talk(fmt.Sprintf("RCPT TO:<g%d@y>", i), "550 5.1.1 Nobody")
		}
		c.talk("DATA", "554", "QUIT", "421")
		c.wantEnd()
	}
	if n := f.count("RCPT"); n != guesses {
		t.Errorf("the upstream was asked %d times", n)
	}
}

// What is answered from memory says so in the log, in a record of its own beside
// the refusal's.
func TestRecipientsLogged(t *testing.T) {
	f := newTeller(t, map[string]string{"no": "550-5.1.1 Nobody\r\n550 5.1.1 by that name"})
	var log *keptLog
	r := remembering(t, f, func(o *relay.Options) { log = keeps(o); o.Chain = newChain(t, o.Log) })
	for range 2 {
		c := r.greeted()
		c.talk("MAIL FROM:<s@x>", "250")
		if got := c.all("RCPT TO:<no@y>"); got != "550-5.1.1 Nobody|550 5.1.1 by that name" {
			t.Errorf("the reply is %q", got)
		}
		c.talk("QUIT", "221")
		f.gone()
	}
	const memory = "upstream not asked"
	log.line(t, memory, "to=no@y", "upstream=a", "level=INFO")
	if n := strings.Count(log.String(), memory); n != 1 {
		t.Errorf("%d records say that memory has answered:\n%s", n, log)
	}
	if n := strings.Count(log.String(), "msg=refused"); n != 2 {
		t.Errorf("there are %d refusals:\n%s", n, log)
	}
}

// Only what will last is remembered; what shows that an address exists is the
// end of it.
func TestRecipientsRemembered(t *testing.T) {
	for reply, asked := range map[string]int{
		"550 5.1.1 Nobody":            1,
		"553 5.1.3 No address":        1,
		"550 5.1.10 Null MX":          1,
		"550 5.7.1 Relaying denied":   3,
		"550 Nobody":                  3,
		"450 4.1.1 Nobody yet":        3,
		"451 4.7.1 Greylisted":        3,
		"452 4.2.2 Full":              3,
		"552 5.2.2 Full":              3,
		"550 4.1.1 Two minds":         3,
		"450 5.1.1 Two minds":         3,
		"503 5.5.1 Not now":           3,
		"250 2.1.5 Welcome":           3,
		"550-5.1.1 Nobody\r\n550 end": 1,
	} {
		t.Run(reply, func(t *testing.T) {
			f := newTeller(t, map[string]string{"who": reply})
			r := remembering(t, f, nil)
			for range 3 {
				c := r.greeted()
				c.talk("MAIL FROM:<s@x>", "250", "RCPT TO:<who@Y>", reply[:3], "QUIT", "221")
				f.gone()
			}
			if n := f.count("RCPT"); n != asked {
				t.Errorf("the upstream was asked %d times, want %d", n, asked)
			}
		})
	}
}

// An address that is accepted is asked for again from then on. Who has logged in
// is never answered from memory, which is how it shows here.
func TestRecipientsForgotten(t *testing.T) {
	f := newTeller(t, map[string]string{"who": "550 5.1.1 Nobody"})
	r := remembering(t, f, nil)
	ask := func(login bool, want string) {
		t.Helper()
		c := r.greeted()
		if login {
			c.talk("AUTH PLAIN AGpvZQBzZWNyZXQ=", "235")
		}
		c.talk("MAIL FROM:<s@x>", "250", "RCPT TO:<who@y>", want, "QUIT", "221")
		f.gone()
	}
	ask(false, "550")
	ask(false, "550")
	ask(true, "550")
	f.note(func() { f.answer = nil })
	ask(false, "550")
	ask(true, "250")
	ask(false, "250")
	if n := f.count("RCPT"); n != 4 {
		t.Errorf("the upstream was asked %d times", n)
	}
}

// In a group of commands each reply is in its place.
func TestRecipientsInGroup(t *testing.T) {
	f := newTeller(t, map[string]string{"no": "550 5.1.1 Nobody"})
	r := remembering(t, f, nil)
	for range 2 {
		c := r.greeted()
		c.say("MAIL FROM:<s@x>\r\nRCPT TO:<1@y>\r\nRCPT TO:<no@y>\r\nRCPT TO:<2@y>\r\nRCPT TO:<no@y>\r\nDATA\r\n",
			"250", "250 2.1.5 Recipient <1@y>", "550", "250 2.1.5 Recipient <2@y>", "550", "354")
		c.talk("one\r\n.", "250", "QUIT", "221")
		f.gone()
	}
	f.wantMails("1 <s@x> <1@y> <2@y>: one|", "2 <s@x> <1@y> <2@y>: one|")
	if n := f.count("RCPT TO:<no"); n != 2 {
		t.Errorf("the upstream was asked %d times", n)
	}
}

// A recipient that is known to be refused is not in an envelope made anew.
func TestRecipientsHeld(t *testing.T) {
	f := newTeller(t, map[string]string{"no": "550 5.1.1 Nobody"})
	r := remembering(t, f, func(o *relay.Options) {
		o.Chain = newNeedyChain(t, o.Log, filters.WholeMessage|filters.Edits, &stub{eom: func(tx *filters.Transaction) filters.Verdict {
			if err := tx.Edit(filters.ChangeSender{From: filters.Path{Raw: "<new@x>"}}); err != nil {
				t.Error(err)
			}
			return filters.Verdict{}
		}})
	})
	c := r.greeted()
	for range 2 {
		c.talk("MAIL FROM:<s@x>", "250", "RCPT TO:<no@y>", "550", "RCPT TO:<1@y>", "250", "DATA", "354", "one\r\n.", "250")
	}
	f.wantMails("1 <new@x> <1@y>: one|", "1 <new@x> <1@y>: one|")
}

// Each upstream has a memory of its own, which is asked before the upstream is
// told of a sender.
func TestRecipientsOfRoutes(t *testing.T) {
	nobody := map[string]string{"no": "550 5.1.1 Nobody"}
	a, b := newTeller(t, nobody), newTeller(t, nobody)
	r := newTown(t, func(g *groups, o *relay.Options) {
		o.Upstream = g.of("a", a, nil)
		o.Routes = []relay.Route{{Domains: []string{"b.example"}, Upstream: g.of("b", b, remembers)}}
	})
	for range 3 {
		c := r.greeted()
		c.talk("MAIL FROM:<s@x>", "250", "RCPT TO:<no@b.example>", "550", "RCPT TO:<no@a.example>", "550",
			"RCPT TO:<1@b.example>", "250", "RSET", "250", "QUIT", "221")
		a.gone()
		b.gone()
	}
	if x, y := a.count("RCPT TO:<no"), b.count("RCPT TO:<no"); x != 3 || y != 1 {
		t.Errorf("the upstreams were asked %d and %d times", x, y)
	}
}
