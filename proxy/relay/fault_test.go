package relay_test

import (
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// points are where an upstream can fail, by what it should have said, each
// with the dialogue up to there. At a bar the client waits for its answers.
var points = []struct{ name, usual, client string }{
	{"greeting", "220", hello},
	{"EHLO", "250-", hello},
	{"MAIL", "250 2.1.0", hello + envelope},
	{"DATA", "354", hello + envelope + "|DATA\r\n"},
	{"end of data", "250 2.0.0 Queued", hello + envelope + "|DATA\r\n" + letter + ".\r\n"},
	{"BDAT", "250 2.0.0 Chunk", hello + envelope + "BDAT 3\r\nabc"},
	{"BDAT LAST", "250 2.0.0 Queued", hello + envelope + "BDAT 3 LAST\r\nabc"},
	{"VRFY", "252", hello + "VRFY x\r\n"},
	{"RSET", "250 Ok", hello + "RSET\r\n"},
	{"AUTH", "334", hello + "AUTH PLAIN\r\n"},
	{"AUTH line", "235", hello + "AUTH PLAIN\r\nsecret\r\n"},
}

// faults are the ways to fail.
var faults = []struct {
	name, says string
	then       error
}{
	{"close", "", io.EOF},
	{"reset", "", syscall.ECONNRESET},
	{"silence", "", os.ErrDeadlineExceeded},
	{"garbage", "\x00\xff garbage\r\n", os.ErrDeadlineExceeded},
	{"endless line", "250 ", endless("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")},
	{"endless lines", "", endless("250-x\r\n")},
	{"half a reply, close", "250 O", io.EOF},
	{"half a reply, silence", "250-O\r\n", os.ErrDeadlineExceeded},
	{"half an end of line", "250 Ok\r", io.EOF},
	{"bare LF", "250 Ok\n", os.ErrDeadlineExceeded},
	{"two codes", "250-Ok\r\n550 No\r\n", os.ErrDeadlineExceeded},
	{"no code", "Ok\r\n", os.ErrDeadlineExceeded},
	{"code 334", "334 go\r\n", os.ErrDeadlineExceeded},
	{"code 354", "354 go\r\n", os.ErrDeadlineExceeded},
	{"code 150", "150 wait\r\n", os.ErrDeadlineExceeded},
	{"code 999", "999 what\r\n", os.ErrDeadlineExceeded},
	{"code 000", "000 what\r\n", os.ErrDeadlineExceeded},
	{"421", "421 4.3.2 Closing\r\n", io.EOF},
}

// Whatever the upstream does, the client is told soon, and never that its
// message was taken. A reply of 3xx is the one that DATA and AUTH ask for.
func TestUpstreamFaults(t *testing.T) {
	for _, point := range points {
		for _, fault := range faults {
			if strings.HasPrefix(fault.says, point.usual) || point.usual == "235" && fault.says[:min(3, len(fault.says))] == "334" {
				continue // that is no fault there
			}
			t.Run(point.name+"/"+fault.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p := newPlay(t, "")
					p.clock = true
					p.on(point.usual, fault.says, fault.then)
					p.steps(append(strings.Split(point.client, "|"), "QUIT\r\n")...)
					began := time.Now()
					p.run(t)
					p.wantRefusal(t, strings.ReplaceAll(point.client, "|", ""))
					if took := p.told.Sub(began); took > 23*time.Second {
						t.Errorf("it took %v", took)
					}
				})
			})
		}
	}
}

// wantRefusal checks that the session ended with 421, or went on after 451 to
// QUIT.
func (p *play) wantRefusal(t *testing.T, client string) {
	t.Helper()
	codes := strings.Split(p.codes(t), " ")
	last := codes[len(codes)-1]
	if last == "221" && len(codes) > 1 {
		last = codes[len(codes)-2]
	}
	if last != "421" && last != "451" {
		t.Errorf("the client heard %s\n%s", codes, p.heard)
	}
	if _, err := p.check([]byte(client + "QUIT\r\n")); err != nil {
		t.Error(err)
	}
	if strings.Contains(string(p.heard), "2.0.0 Queued") {
		t.Errorf("a message was acknowledged: %q", p.heard)
	}
}

// A group of commands ends where the upstream does: what it has answered the
// client hears, then 421.
func TestUpstreamLostInGroup(t *testing.T) {
	p := newPlay(t, hello+"MAIL FROM:<a@x.example>\r\n"+strings.Repeat("RCPT TO:<b@y.example>\r\n", 5)+"DATA\r\n")
	p.on("250 2.1.0", "250 2.1.0 Sender\r\n250 2.1.5 One\r\n550 5.1.1 Two\r\n250 2.1", io.EOF)
	p.run(t)
	p.wantCodes(t, "220 250 250 250 550 421")
}

// What the upstream says in the middle of a text is its answer to it, if it is
// a refusal; anything else is out of step.
func TestUpstreamSpeaksInText(t *testing.T) {
	for says, want := range map[string]string{
		"550 5.7.1 No spam\r\n":       "550 221",
		"450 4.3.0 Not now\r\n":       "450 221",
		"421 4.3.2 Closing\r\n":       "421",
		"250 2.0.0 Early\r\n":         "421",
		"354 Go on\r\n":               "421",
		"25":                          "421",
		"550 No\r\n250 2.0.0 Taken\n": "550 221",
	} {
		for _, part := range []string{"more\r\n", ".\r\n"} {
			p := newPlay(t, "")
			p.answer = func(_ int, usual string) (string, error) {
				if usual == "" {
					usual = says
				}
				return usual, os.ErrDeadlineExceeded
			}
			p.steps(hello+envelope+"DATA\r\n", "Subject: x\r\n\r\n", part, strings.TrimPrefix(".\r\n", part)+"QUIT\r\n")
			p.run(t)
			p.wantCodes(t, "220 250 250 250 354 "+want)
		}
	}
}
