package relay_test

import (
	"io"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// An upstream may close an idle connection: between transactions nobody needs
// to know.
func TestIdleUpstreamLeaves(t *testing.T) {
	for name, leave := range map[string]func(p *play){
		"closed": func(p *play) { p.on("250-", "250-up\r\n250 PIPELINING\r\n", io.EOF) },
		"reset":  func(p *play) { p.on("250-", "250-up\r\n250 PIPELINING\r\n", syscall.ECONNRESET) },
		"421": func(p *play) {
			p.on("250-", "250-up\r\n250 PIPELINING\r\n", os.ErrDeadlineExceeded)
			p.afterwards = func(u *upstreamEnd) { u.pending, u.end = []byte("421 4.4.2 Idle\r\n"), io.EOF }
		},
	} {
		for command, want := range map[string]string{
			"RSET\r\n" + envelope + "DATA\r\n": "220 250 250 250 250 354",
			envelope + "DATA\r\n":              "220 250 250 250 354",
			"VRFY x\r\n":                       "220 250 252",
			"NOOP\r\nQUIT\r\n":                 "220 250 250 221",
			"QUIT\r\n":                         "220 250 221",
			hello + envelope:                   "220 250 250 250 250",
		} {
			t.Run(name+" "+command[:4], func(t *testing.T) {
				p := newPlay(t, "")
				leave(p)
				p.steps(hello, command)
				p.run(t)
				p.wantCodes(t, want)
			})
		}
	}
}

// What nobody asked for is out of step, and ends both sides.
func TestStrayReplyBetweenCommands(t *testing.T) {
	p := newPlay(t, "")
	p.on("250-", "250-up\r\n250 PIPELINING\r\n", os.ErrDeadlineExceeded)
	p.afterwards = func(u *upstreamEnd) { u.pending = []byte("250 Ok\r\n") }
	p.steps(hello, envelope)
	p.run(t)
	p.wantCodes(t, "220 250 421")
}

// A client that cannot be taken over must not wait for the farewell to an
// upstream that says nothing.
func TestNoTakeOverIsPrompt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlay(t, "")
		p.clock = true
		p.on("250-", "250 up\r\n", os.ErrDeadlineExceeded) // the second offers less
		p.on("250-", "250-up\r\n250-CHUNKING\r\n250 PIPELINING\r\n", io.EOF)
		p.on("221", "", os.ErrDeadlineExceeded)
		p.steps(hello, envelope)
		began := time.Now()
		p.run(t)
		p.wantCodes(t, "220 250 421")
		if took := p.told.Sub(began); took > 0 {
			t.Errorf("the client waited %v", took)
		}
	})
}
