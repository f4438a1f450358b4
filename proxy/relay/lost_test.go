package relay_test

import (
	"os"
	"testing"
)

// A client that is lost, at whatever octet, leaves no message behind that it
// has not ended, and an upstream that is told QUIT wherever that is a command.
func TestClientLostAnywhere(t *testing.T) {
	for name, session := range map[string]string{
		"text":   hello + envelope + "DATA\r\n" + letter + ".\r\n" + envelope + "DATA\r\nx\r\n.\r\n",
		"chunks": hello + envelope + "BDAT 3\r\nab\rBDAT 1\r\n\nBDAT 4 LAST\r\nxy\r\nVRFY x\r\n",
		"auth":   hello + "AUTH LOGIN\r\nc2VjcmV0\r\nNOOP\r\n",
	} {
		for n := range len(session) {
			for _, silent := range []bool{false, true} {
				p := newPlay(t, "")
				p.answer = asWhole
				p.more = inOneGo(session[:n], either(silent))
				p.run(t)
				d, err := p.check([]byte(session[:n]))
				if err == nil {
					err = p.noneElse(d)
				}
				if err != nil {
					t.Errorf("%s, %q lost: %v", name, session[n:], err)
				}
				if codes := codesOf(p.heard); silent && codes[len(codes)-1] != "421" {
					t.Errorf("%s: silent before %q, the client heard %s", name, session[n:], codes)
				}
				for _, u := range p.up {
					u.wantFarewell(t, session[n:])
				}
			}
		}
	}
}

// wantFarewell checks that the upstream was told QUIT, if it waited for a
// command.
func (u *upstreamEnd) wantFarewell(t *testing.T, lost string) {
	t.Helper()
	o := &u.oracle
	waits := o.state == atCommand && len(u.head) == 0 && len(o.replies) == o.asked+1
	if o.replies[len(o.replies)-1].Code == 334 {
		waits = false
	}
	last := ""
	if len(o.commands) > 0 {
		last = o.commands[len(o.commands)-1]
	}
	if waits && last != "QUIT" {
		t.Errorf("%q lost: the last command was %q", lost, last)
	}
}

// While it waits for the answer to a whole message nothing ends a session, but
// the client hears what became of it.
func TestSilenceAtEndOfData(t *testing.T) {
	p := newPlay(t, "")
	p.on("250 2.0.0 Queued", "", os.ErrDeadlineExceeded)
	p.steps(hello+envelope+"DATA\r\n", letter+".\r\n", envelope+"DATA\r\n", letter+".\r\n", "QUIT\r\n")
	p.run(t)
	p.wantCodes(t, "220 250 250 250 354 451 250 250 354 250 221")
}
