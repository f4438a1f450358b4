package proxy_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// almostEnds are octets that some MTA has taken for the end of a message, or
// might. None is CRLF.CRLF, and only that ends a message.
var almostEnds = []string{
	"\n.\n", "\n.\r\n", "\r\n.\n",
	"\r.\r", "\r.\r\n", "\r\n.\r",
	"\n.\r", "\r.\n", "\n\r.\n\r", "\r\r\n.\r\r\n",
	"\r\n\x00.\r\n", "\r\n.\x00\r\n", "\r\n.\r\x00\n", "\r\x00\n.\r\n", "\x00\n.\n",
	"\r\n.\t\r\n", "\r\n. \r\n", "\r\n.\v\r\n", "\r\n.\x85\r\n",
}

// An attempt is one message, written so as to be taken for two.
type attempt struct {
	almostEnd string
	from      string   // the sender
	smuggled  string   // the sender of the second message, should there be one
	command   string   // that opens the text, without parameters of its own
	chunks    []string // the text as it is written, with what ends it
	code      string   // of the reply to all that
}

// newAttempt makes an attempt out of its number, which must be its own.
func newAttempt(n int, almostEnd string) *attempt {
	return &attempt{
		almostEnd: almostEnd,
		from:      fmt.Sprintf("outer%d@test.example", n),
		smuggled:  fmt.Sprintf("smuggled%d@test.example", n),
	}
}

// text returns the text of the message: what stands before the almost-end,
// and what behind.
func (a *attempt) text() (before, behind string) {
	before = "Subject: outer\r\n\r\ntext"
	behind = "MAIL FROM:<" + a.smuggled + ">\r\nRCPT TO:<to@test.example>\r\nDATA\r\n" +
		"Subject: smuggled\r\n\r\ntext\r\n"
	return before, behind
}

// byData sends the attempt with DATA, cut around and within the almost-end:
// bit i of cuts is the cut before its octet i.
func (a *attempt) byData(cuts int) *attempt {
	before, behind := a.text()
	chunk := before
	for i := range len(a.almostEnd) + 1 {
		if cuts>>i&1 == 1 {
			a.chunks = append(a.chunks, chunk)
			chunk = ""
		}
		if i < len(a.almostEnd) {
			chunk += a.almostEnd[i : i+1]
		}
	}
	a.command = "DATA"
	a.chunks = append(a.chunks, chunk+behind+".\r\n")
	return a
}

// byBDAT sends the attempt as one BDAT chunk.
func (a *attempt) byBDAT() *attempt {
	before, behind := a.text()
	text := before + a.almostEnd + behind
	a.chunks = []string{fmt.Sprintf("BDAT %d LAST\r\n%s", len(text), text)}
	return a
}

// allAttempts are all almost-ends in all segmentations.
func allAttempts() []*attempt {
	var all []*attempt
	for _, octets := range almostEnds {
		for cuts := range 1 << (len(octets) + 1) {
			all = append(all, newAttempt(len(all), octets).byData(cuts))
		}
		all = append(all, newAttempt(len(all), octets).byBDAT())
	}
	return all
}

// run makes the attempt, in a session of its own. The client must hear one
// reply to it, whatever that is.
func (a *attempt) run(t *testing.T, addr string) {
	c := peer.Dial(t, addr)
	c.Hello()
	c.Do("250", "MAIL FROM:<"+a.from+">")
	c.Do("250", "RCPT TO:<to@test.example>")
	if a.command != "" {
		c.Do("354", a.command)
	}
	c.Write(a.chunks...)
	a.code = c.Expect("")[:3]
	c.Quit()
}

// No almost-end, in whichever segments it comes, makes two messages of one:
// behind Postfix arrives one if the client heard 250, and none if it heard
// that its message is refused.
func testSmuggling(t *testing.T, binary peer.Mailweir) {
	for _, mode := range []string{"reject", "normalize"} {
		for name, chain := range chains {
			t.Run(mode+"/"+name, func(t *testing.T) {
				r := newRoute(t, binary, fmt.Sprintf("{bare_newline: %[1]s, nul: %[1]s}", mode), chain)
				attempts := allAttempts()
				t.Run("send", func(t *testing.T) { sendAll(t, attempts, r.relay.Addr) })
				arrived := map[string]int{} // messages by sender
				for _, m := range r.arrived(t) {
					arrived[m.From]++
				}
				for _, a := range attempts {
					a.check(t, mode == "reject", arrived)
				}
			})
		}
	}
}

// sendAll makes the attempts, eight at a time.
func sendAll(t *testing.T, attempts []*attempt, addr string) {
	const lanes = 8
	for lane := range lanes {
		t.Run(fmt.Sprint("lane ", lane), func(t *testing.T) {
			t.Parallel()
			for i := lane; i < len(attempts); i += lanes {
				attempts[i].run(t, addr)
			}
		})
	}
}

// check compares what the client heard with what has arrived. BDAT is not
// offered where text is normalized, as that changes its length.
func (a *attempt) check(t *testing.T, strict bool, arrived map[string]int) {
	if arrived[a.smuggled] > 0 {
		t.Errorf("%q: smuggled, written as %q", a.almostEnd, a.chunks)
	}
	code, messages := "250", 1
	switch {
	case strict && a.faulty():
		code, messages = "550", 0
	case !strict && a.command == "":
		code, messages = "502", 0
	}
	if a.code != code || arrived[a.from] != messages {
		t.Errorf("%q: the client heard %s, and %d messages arrived; want %s and %d; written as %q",
			a.almostEnd, a.code, arrived[a.from], code, messages, a.chunks)
	}
}

// faulty reports whether the almost-end has octets that no message may have.
func (a *attempt) faulty() bool {
	return strings.ContainsAny(strings.ReplaceAll(a.almostEnd, "\r\n", ""), "\r\n\x00")
}

// Postfix 3.7 takes some almost-ends for the end, so the tests above would
// see what they are there for.
func TestSmugglingWithoutMailweir(t *testing.T) {
	sink := peer.Sink(t)
	postfix := peer.Postfix(t, peer.PostfixOptions{Relayhost: sink.Addr})
	a := newAttempt(1, "\n.\n").byData(0)
	c := peer.Dial(t, postfix.Addr)
	c.Hello()
	c.Do("250", "MAIL FROM:<"+a.from+">")
	c.Do("250", "RCPT TO:<to@test.example>")
	c.Do("354", "DATA")
	c.Write(a.chunks...)
	for _, code := range []string{"250", "250", "250", "354", "250"} {
		c.Expect(code)
	}
	c.Quit()
	for _, m := range sink.Wait(t, 2, time.Minute) {
		if m.From == a.smuggled {
			return
		}
	}
	t.Error("nothing was smuggled into Postfix")
}
