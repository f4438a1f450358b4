package relay_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/filtertest"
	"github.com/mailweir/mailweir/proxy/relay"
)

// What a session may do in all is bounded, refused with a reason, and counted.
func TestSessionBounds(t *testing.T) {
	mail := envelope + "DATA\r\n" + letter + ".\r\n"
	for reason, c := range map[string]struct {
		client, want string
		change       func(*relay.Options)
	}{
		"too_many_commands":     {strings.Repeat("NOOP\r\n", 9), "220 250 250 250 421", func(o *relay.Options) { o.MaxCommands = 3 }},
		"too_many_transactions": {hello + mail + mail, "220 250 250 250 354 250 421", func(o *relay.Options) { o.MaxTransactions = 1 }},
	} {
		p, m := newPlay(t, c.client), filtertest.NewMetrics()
		p.options.Meters = metered(m)
		c.change(&p.options)
		p.run(t)
		p.wantCodes(t, c.want)
		if got := p.journal.with("refused"); !strings.Contains(got, "filter=limits reason="+reason+" ") {
			t.Errorf("the log has %q, want %s", got, reason)
		}
		if got, want := fmt.Sprint(m.All("mailweir_limits_total")), "map[test "+reason+":1]"; got != want {
			t.Errorf("limits hit are %s, want %s", got, want)
		}
	}
}

// A delivered message shows that the client means well.
func TestCommandsAreForgiven(t *testing.T) {
	p := newPlay(t, hello+strings.Repeat(envelope+"DATA\r\n"+letter+".\r\n", 5)+"QUIT\r\n")
	p.options.MaxCommands = 6
	p.run(t)
	if got := p.codes(t); !strings.HasSuffix(got, "250 221") {
		t.Errorf("the client heard %s", got)
	}
}

func TestListenerLimit(t *testing.T) {
	r := newRig(t, func(o *relay.Options) { o.MaxSessions = 1 })
	r.dial().say("", "220")
	r.dial().say("", "421")
	r.dial().say("", "421") // accepted by who has logged the refusal before
	if got := r.journal.with("refused"); !strings.Contains(got, "reason=too_many_sessions_of_listener ") {
		t.Errorf("the log has %q", got)
	}
}

// Who connects too often is refused, and may come again later.
func TestNewSessionRate(t *testing.T) {
	r := newRig(t, func(o *relay.Options) { o.Limiter.SetRate(1) })
	wantSoon := func(code string) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
			c := r.dial()
			got := c.reply()
			c.Close()
			if strings.HasPrefix(got, code) {
				return
			}
		}
		t.Errorf("no session is told %s", code)
	}
	wantSoon("220")
	wantSoon("421")
	wantSoon("220") // accepted by who has logged the refusal before
	if got := r.journal.with("refused"); !strings.Contains(got, "reason=too_many_new_sessions_of_client ") {
		t.Errorf("the log has %q", got)
	}
	r.ended(0)
}

// A text that comes octet by octet is given up, one at the least rate is not.
func TestSlowText(t *testing.T) {
	for _, c := range []struct {
		octets int // a second
		want   string
	}{
		{1, "220 250 250 250 354 421"},
		{500, "220 250 250 250 354 250 221"},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := newPlay(t, "")
			p.clock = true
			p.options.MinRate = 500
			text := strings.Repeat(strings.Repeat("x", 98)+"\r\n", 500) + ".\r\nQUIT\r\n"
			begun := false
			p.more = func([]byte) ([]byte, error) {
				if !begun {
					begun = true
					return []byte(hello + envelope + "DATA\r\n"), nil
				}
				time.Sleep(time.Second)
				n := min(c.octets, len(text))
				next := text[:n]
				text = text[n:]
				return []byte(next), nil
			}
			p.run(t)
			p.wantCodes(t, c.want)
			if slow := strings.Contains(p.journal.with("refused"), "reason=text_too_slow "); slow != (c.octets == 1) {
				t.Errorf("at %d octets a second: %v", c.octets, p.journal.records)
			}
		})
	}
}

// Under stress waits are shorter.
func TestStress(t *testing.T) {
	r := newRig(t, func(o *relay.Options) {
		o.Limiter = relay.NewLimiter(2, 0)
		o.Stress = relay.Stress{Share: 1, Command: 50 * time.Millisecond, DataBlock: 50 * time.Millisecond}
	})
	one := r.dial()
	one.say("", "220")
	two := r.dial()
	two.say("", "220", "421")
	two.wantEnd()
	two.Close()
	r.ended(1)
	one.say("NOOP\r\n", "250")
}

// A message for which there is no room is refused for now, and the session goes
// on. All room is given back.
func TestNoRoom(t *testing.T) {
	large := strings.Repeat(strings.Repeat("x", 998)+"\r\n", 300)
	for name, c := range map[string]struct {
		room int64
		dir  string
	}{
		"memory and files": {100 << 10, os.TempDir()},
		"no place to hold": {0, "/nonexistent"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("TMPDIR", c.dir)
			room := relay.NewRoom(c.room)
			p := newPlay(t, hello+envelope+"DATA\r\n"+large+".\r\n"+envelope+"DATA\r\n"+letter+".\r\nQUIT\r\n")
			p.options.Room = room
			p.held = true
			p.options.Chain = newNeedyChain(t, p.options.Log, filters.WholeMessage, &stub{})
			p.run(t)
			p.wantCodes(t, "220 250 250 250 354 452 250 250 354 250 221")
			if !strings.Contains(string(p.heard), "452 4.3.1 ") {
				t.Errorf("the client heard %q", p.heard)
			}
			if room.Taken() != 0 {
				t.Errorf("%d octets are still taken", room.Taken())
			}
		})
	}
}
