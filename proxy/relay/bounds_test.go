package relay_test

import (
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/relay"
)

// A delivered message shows that the client means well.
func TestCommandsAreForgiven(t *testing.T) {
	p := newPlay(t, hello+strings.Repeat(envelope+"DATA\r\n"+letter+".\r\n", 5)+"QUIT\r\n")
	p.options.MaxCommands = 6
	p.run(t)
	if got := p.codes(t); !strings.HasSuffix(got, "250 221") {
		t.Errorf("the client heard %s", got)
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

// Under stress waits are shorter, those too that have begun before it, whatever the
// client is in the middle of.
func TestStress(t *testing.T) {
	stages := []struct{ say, hear string }{
		{"", "220"},
		{hello, "220 250"},
		{hello + "MAIL FROM:<a@x.example>\r\n", "220 250 250"},
		{hello + envelope, "220 250 250 250"},
		{hello + envelope + "NOO", "220 250 250 250"},
		{hello + envelope + "DATA\r\n", "220 250 250 250 354"},
		{hello + envelope + "DATA\r\n" + letter, "220 250 250 250 354"},
		{hello + envelope + "BDAT 100\r\n" + letter, "220 250 250 250"},
	}
	up := newMTA(t)
	for _, rate := range []int{0, 1} {
		r := newRig(t, func(o *relay.Options) {
			o.Upstream = behind(newFleet(), up.addr, len(stages))
			o.Limiter = relay.NewLimiter(len(stages)+1, 0)
			o.Stress = relay.Stress{Share: 1, Command: 500 * time.Millisecond, DataBlock: 500 * time.Millisecond}
			o.Timeouts.Command, o.Timeouts.DataBlock, o.MinRate = time.Hour, time.Hour, rate
		})
		var early []*client
		for _, stage := range stages {
			c := r.dial()
			c.say(stage.say, strings.Fields(stage.hear)...)
			early = append(early, c)
		}
		late := r.dial()
		late.say("", "220")
		for _, c := range append(early, late) {
			c.say("", "421")
			c.wantEnd()
		}
		r.ended(0)
		after := r.dial() // there is none now
		after.say("", "220")
		after.say("NOOP\r\n", "250")
	}
}

// So is that for a handshake.
func TestStressBeforeTLS(t *testing.T) {
	r, _ := newTLSRig(t, func(o *relay.Options) {
		o.Limiter = relay.NewLimiter(1, 0)
		o.Stress = relay.Stress{Share: 1, Command: 500 * time.Millisecond, DataBlock: time.Hour}
		o.TLS.Implicit = true
		o.Timeouts.Handshake = time.Hour
	})
	c := r.dial()
	c.wantEnd()
	r.ended(0)
	if log := r.journal.with("TLS handshake failed"); !strings.Contains(log, "reason=handshake_too_slow") {
		t.Errorf("the log has %v", r.journal.records)
	}
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

// A client that names more recipients than a message may have still sends it to
// those that fit, and is ended only if it goes on and on.
func TestRecipientsBeyond(t *testing.T) {
	rcpts := func(n int) string { return strings.Repeat("RCPT TO:<b@y.example>\r\n", n) }
	for _, c := range []struct {
		beyond int
		end    string
	}{
		{1000, " 452 354 250 221"},
		{100_000, " 452 421"},
	} {
		p := newPlay(t, hello+"MAIL FROM:<a@x.example>\r\n"+rcpts(100+c.beyond)+"DATA\r\n"+letter+".\r\nQUIT\r\n")
		p.options.MaxRcpts = 100
		p.run(t)
		if got := p.codes(t); strings.Count(got, "250") < 102 || !strings.HasSuffix(got, c.end) {
			t.Errorf("with %d recipients beyond: %d replies, that end in %s", c.beyond, len(got)/4, got[len(got)-20:])
		}
		if n := strings.Count(p.journal.all(), "reason=too_many_recipients "); n != 1 {
			t.Errorf("%d records", n)
		}
	}
}
