package relay_test

import (
	"strings"
	"testing"

	"github.com/mailweir/mailweir/proxy/relay"
)

// A transaction that ended with a refused chunk is ended on both sides: the next
// one finds an upstream that takes it.
func TestChunkRefused(t *testing.T) {
	for _, reply := range []string{"452 4.3.1 No room", "554 5.6.0 Not that"} {
		f := newFake(t, func(f *fake) { f.answer = says("BDAT 7", reply) })
		r := newTown(t, func(g *groups, o *relay.Options) { o.Upstream = g.of("a", f, nil) })
		c := r.greeted()
		c.talk("MAIL FROM:<s@x>", "250", "RCPT TO:<1@y>", "250", "BDAT 7\r\n12345", reply[:8])
		c.talk(one...)
		c.talk("QUIT", "221")
		if got := f.texts(); len(got) != 1 || !strings.HasSuffix(got[0], " <s@x> <1@y>: one|") {
			t.Errorf("the upstream has %q", got)
		}
	}
}

// A connection on which more may have been said than is understood here is not
// left to another session: a log-in that is confirmed in other words than 235,
// or a verb that is only passed on.
func TestReuseUnclear(t *testing.T) {
	for _, line := range []string{"AUTH PLAIN AGpvZQBzZWNyZXQ=", "XLOGIN joe"} {
		f := newFake(t, func(f *fake) {
			f.keywords = append(f.keywords, "AUTH PLAIN")
			f.answer = says("AUTH", "250 2.7.0 In")
		})
		r, fleet := reusing(t, f, func(o *relay.Options) { o.RelayVerbs = []string{"XLOGIN"} })
		for range 2 {
			c := r.greeted()
			c.talk(line, "250", "QUIT", "221")
			f.idle(fleet)
		}
		if n := f.made(); n != 2 {
			t.Errorf("%s: %d connections were made", line, n)
		}
	}
}
