package relay_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/relay"
	"github.com/mailweir/mailweir/proxy/upstream"
)

// stages are where a server can fail: what it hears there.
var stages = []string{"", "EHLO", "XFORWARD", "MAIL", "RCPT", "DATA", "."}

// failsAt is an answer that fails once, at that stage. fired tells whether it has.
func failsAt(stage, how string) (answer func(int, string) string, fired func() bool) {
	var done atomic.Bool
	answer = func(_ int, line string) string {
		here := strings.HasPrefix(line, stage)
		switch stage {
		case "":
			here = line == ""
		case "EHLO":
			here = strings.HasPrefix(line, "LHLO") || here
		}
		if !here || done.Swap(true) {
			return ""
		}
		return how
	}
	return answer, done.Load
}

// worlds are the ways in which a message goes to an upstream.
var worlds = map[string]struct {
	lmtp  bool
	group func(*upstream.Options)
	needs filters.Needs
	route bool
}{
	"plain":   {},
	"lmtp":    {lmtp: true},
	"reuse":   {group: kept},
	"held":    {needs: filters.WholeMessage},
	"routed":  {route: true},
	"forward": {group: func(o *upstream.Options) { kept(o); o.Identity = upstream.XFORWARD }, route: true},
}

// Whatever fails of a server, and wherever, a client that comes again after a
// refusal for now gets its message through: once, unless the server had it and
// could not say so (RFC 1047).
func TestServerFails(t *testing.T) {
	for world := range worlds {
		for _, stage := range stages {
			for name, how := range map[string]string{"closes": closes, "421": "421 4.3.2 Down\r\n" + closes, "hangs": hangs, "half": "25" + closes, "451": "451 4.3.0 Not now"} {
				t.Run(world+"/"+stage+"/"+name, func(t *testing.T) {
					t.Parallel()
					checkFailure(t, world, stage, how)
				})
			}
		}
	}
}

func checkFailure(t *testing.T, world, stage, how string) {
	w := worlds[world]
	answer, fired := failsAt(stage, how)
	first := newFake(t, func(f *fake) {
		f.lmtp, f.answer = w.lmtp, answer
		f.keywords = append(f.keywords, "XFORWARD ADDR")
	})
	second := newFake(t, func(f *fake) { f.lmtp, f.keywords = w.lmtp, first.keywords })
	r := newTown(t, func(g *groups, o *relay.Options) {
		patience := 400 * time.Millisecond
		up := &o.Timeouts.Upstream
		up.Greeting, up.Mail, up.Rcpt, up.Data, up.EndOfData, up.Other = patience, patience, patience, patience, patience, patience
		group := g.of("two", first, func(o *upstream.Options) {
			o.Servers = append(o.Servers, serverOf(second))
			o.BackOff = upstream.BackOff{First: time.Millisecond, Max: time.Millisecond}
			if w.group != nil {
				w.group(o)
			}
		})
		o.Upstream = group
		if w.route {
			o.Upstream = g.of("other", newFake(t, func(f *fake) { f.keywords = first.keywords }), nil)
			o.Routes = []relay.Route{{Domains: []string{"y.example"}, Upstream: group}}
		}
		if w.needs != 0 {
			o.Chain = newNeedyChain(t, o.Log, w.needs, &stub{})
		}
	})
	told := 0
	for range 4 {
		told += deliver(t, r)
		if told > 0 {
			break
		}
	}
	if told != 1 {
		t.Errorf("the message was never taken")
	}
	if !fired() && (stage != "XFORWARD" || world == "forward") {
		t.Error("the server has not failed")
	}
	want := 1
	if stage == "." && how[0] != '4' {
		want = 2 // the one that was not confirmed, and the other
	}
	if have := len(first.texts()) + len(second.texts()); have != want {
		t.Errorf("there are %d messages, want %d: %q %q", have, want, first.texts(), second.texts())
	}
}

// deliver tries to deliver one message, and returns how often it was taken. All
// refusals must be for now.
func deliver(t *testing.T, r *rig) (taken int) {
	t.Helper()
	c := r.dial()
	defer c.Close()
	for _, line := range []string{"", "EHLO c\r\n", "MAIL FROM:<s@x.example>\r\n", "RCPT TO:<1@y.example>\r\n", "DATA\r\n", "one\r\n.\r\n"} {
		c.Write([]byte(line))
		got := c.reply()
		switch {
		case got == "" || got[0] == '4':
			return 0
		case got[0] != '2' && got[:3] != "354":
			t.Errorf("to %q the reply is %q", line, got)
			return 0
		case line == "one\r\n.\r\n":
			taken++
		}
	}
	c.talk("QUIT", "221")
	return taken
}

// A server that cannot be reached, or greets with something else than 220, is
// passed over in the same session.
func TestServerPassedOver(t *testing.T) {
	for _, how := range []string{closes, "554 5.3.2 Closed", "421 4.3.2 Down\r\n" + closes, "garbage"} {
		first := newFake(t, func(f *fake) { f.answer = says("", how) })
		second := newFake(t, nil)
		r := newTown(t, func(g *groups, o *relay.Options) {
			o.Upstream = g.of("two", first, func(o *upstream.Options) { o.Servers = append(o.Servers, serverOf(second)) })
		})
		c := r.greeted()
		c.talk(one...)
		second.wantMails("1 <s@x> <1@y>: one|")
	}
}

// A server that goes away before it has answered the greeting has done nothing
// for the client yet: another attempt serves it, but not without end.
func TestLostAtEHLO(t *testing.T) {
	for times, want := range map[int]string{1: "250", 2: "421"} {
		left := int32(times)
		first := newFake(t, func(f *fake) {
			f.answer = func(_ int, line string) string {
				if strings.HasPrefix(line, "EHLO") && atomic.AddInt32(&left, -1) >= 0 {
					return closes
				}
				return ""
			}
		})
		second := newFake(t, nil)
		r := newTown(t, func(g *groups, o *relay.Options) {
			o.Upstream = g.of("two", first, func(o *upstream.Options) { o.Servers = append(o.Servers, serverOf(second)) })
		})
		c := r.dial()
		c.say("", "220")
		c.say("EHLO c\r\n", want)
		c.Close()
	}
}
