package relay_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/relay"
)

// local starts a relay before an upstream that speaks LMTP.
func local(t *testing.T, f *fake, change func(*relay.Options)) *rig {
	t.Helper()
	return newTown(t, func(g *groups, o *relay.Options) {
		o.Upstream = g.of("local", f, nil)
		if change != nil {
			change(o)
		}
	})
}

// newLocal starts an upstream that speaks LMTP, and says that to a text.
func newLocal(t *testing.T, toText string) *fake {
	t.Helper()
	return newFake(t, func(f *fake) {
		f.lmtp = true
		f.answer = func(_ int, line string) string {
			switch {
			case strings.HasPrefix(line, "RCPT TO:<no"):
				return "550 5.1.1 Nobody"
			case strings.HasPrefix(line, "RCPT TO:<later"):
				return "450 4.2.0 Later"
			case line == ".":
				return toText
			}
			return ""
		}
	})
}

// The replies for each recipient become one: a refusal for now if there is any,
// else one for good, and success only if all have it.
func TestLMTPReplies(t *testing.T) {
	const ok, ok2, soft, soft2, hard, hard2 = "250 2.0.0 One", "250 2.0.0 Two", "452 4.2.2 Soft", "451 4.3.0 Softer", "550 5.1.1 Hard", "552 5.2.2 Harder"
	const sorry = "451 4.4.2"
	for _, c := range []struct{ says, want string }{
		{ok, ok},
		{soft, soft},
		{hard, hard},
		{ok + "|" + ok2, ok},
		{ok + "|" + hard, hard},
		{hard + "|" + ok, hard},
		{ok + "|" + soft, soft},
		{soft + "|" + ok, soft},
		{hard + "|" + soft, soft},
		{soft + "|" + hard, soft},
		{soft + "|" + soft2, soft},
		{hard + "|" + hard2 + "|" + ok, hard},
		{ok + "|" + hard + "|" + soft + "|" + soft2 + "|" + hard2, soft},
		{"250-2.0.0 One|250 2.0.0 more|" + ok2, "250 2.0.0 more"},
		{"251 2.1.5 Elsewhere|" + ok, "251"},
		// Fewer replies than recipients, and such as are none.
		{"close", sorry},
		{ok + "|close", sorry},
		{hard + "|close", sorry},
		{hard + "|hang", sorry},
		{ok + "|hang", sorry},
		{ok + "|" + ok2 + "|close", sorry},
		{"354 Go on|" + ok, sorry},
		{ok + "|354 Go on", sorry},
		{ok + "|garbage", sorry},
		{ok + "|2", sorry},
		{ok + "|250", sorry},
		{"250|" + ok, sorry},
		{"421 4.3.2 Closing|close", sorry},
		{ok + "|421 4.3.2 Closing|close", sorry},
		// A whole set of them, one of which ends the session.
		{"421 4.3.2 Closing|" + ok, "421 4.3.2"},
		{ok + "|421 4.3.2 Closing", "421 4.3.2"},
		{soft + "|421 4.3.2 Closing", soft},
	} {
		t.Run(c.says, func(t *testing.T) {
			t.Parallel()
			checkFold(t, strings.Split(c.says, "|"), c.want)
		})
	}
}

// checkFold has a message sent to as many recipients as there are replies.
func checkFold(t *testing.T, replies []string, want string) {
	text := strings.Join(replies, "\r\n")
	n := 0
	for _, r := range replies {
		if len(r) < 4 || r[3] != '-' {
			n++
		}
	}
	f := newLocal(t, text)
	r := local(t, f, func(o *relay.Options) { o.Timeouts.Upstream.EndOfData = 200 * time.Millisecond })
	c := r.greeted()
	c.talk("MAIL FROM:<s@x.example>", "250")
	for i := range n {
		c.talk(fmt.Sprintf("RCPT TO:<%d@y.example>", i), "250")
		if i == 0 {
			c.talk("RCPT TO:<no@y.example>", "550", "RCPT TO:<later@y.example>", "450")
		}
	}
	c.talk("DATA", "354", "one\r\n.", want)
	if strings.HasPrefix(want, "421") {
		c.wantEnd()
		return
	}
	f.note(func() { f.answer = nil })
	c.talk("MAIL FROM:<t@x.example>", "250", "RCPT TO:<1@y.example>", "250", "DATA", "354", "two\r\n.", "250 2.0.0 Delivered <1@y.example>", "QUIT", "221")
}

// Who gets it though others do not is in the log: they may get it twice.
func TestLMTPPartly(t *testing.T) {
	f := newLocal(t, "250 2.0.0 One\r\n452 4.2.2 Two\r\n250 2.0.0 Three")
	var log *keptLog
	r := local(t, f, func(o *relay.Options) { log = keeps(o); o.Chain = newChain(t, o.Log) })
	c := r.greeted()
	c.talk("MAIL FROM:<s@x.example>", "250", "RCPT TO:<1@y>", "250", "RCPT TO:<2@y>", "250", "RCPT TO:<3@y>", "250",
		"DATA", "354", "one\r\n.", "452 4.2.2 Two", "QUIT", "221")
	log.line(t, "level=WARN", "some recipients have accepted", "accepted=2", "refused=1")
	log.line(t, "msg=refused", "stage=eom", "452 4.2.2 Two")
}

// A reply too many is out of step: nothing of it becomes the answer to what
// comes next.
func TestLMTPTooMany(t *testing.T) {
	f := newLocal(t, "250 2.0.0 One\r\n250 2.0.0 Two")
	r := local(t, f, nil)
	c := r.greeted()
	c.talk("MAIL FROM:<s@x.example>", "250", "RCPT TO:<1@y>", "250", "DATA", "354", "one\r\n.", "250 2.0.0 One", "MAIL FROM:<s@x.example>", "421")
	c.wantEnd()
}

// All replies together may take no longer than one may.
func TestLMTPSlow(t *testing.T) {
	const replies = 50
	f := newLocal(t, strings.Repeat("250 2.0.0 One\r\n", replies)+hangs)
	f.slow = 100 * time.Millisecond
	r := local(t, f, func(o *relay.Options) { o.Timeouts.Upstream.EndOfData = 300 * time.Millisecond })
	c := r.greeted()
	c.talk("MAIL FROM:<s@x.example>", "250")
	for range replies {
		c.talk("RCPT TO:<1@y>", "250")
	}
	c.talk("DATA", "354")
	began := time.Now()
	c.talk("one\r\n.", "451 4.4.2")
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("the client has waited for %v", took)
	}
}

// Clients that say HELO have it said as LHLO; chunks are not for LMTP.
func TestLMTPGreetings(t *testing.T) {
	f := newLocal(t, "")
	r := local(t, f, nil)
	c := r.dial()
	c.talk("HELO c", "220")
	if got := c.reply(); got != "250 weir.example\r\n" {
		t.Errorf("HELO is answered with %q", got)
	}
	c.talk("MAIL FROM:<s@x.example> BODY=8BITMIME", "555", "MAIL FROM:<s@x.example>", "250", "RCPT TO:<1@y>", "250", "DATA", "354", "one\r\n.", "250")
	if got, want := c.all("EHLO d"), "250-weir.example|250-PIPELINING|250-8BITMIME|250 SIZE 1000000"; got != want {
		t.Errorf("offered is %s, want %s", got, want)
	}
	c.talk("LHLO c", "500", "BDAT 0 LAST", "502", "QUIT", "221")
	f.gone()
	if !strings.HasPrefix(f.heard(), "1 LHLO c\n1 MAIL") || f.count("LHLO d") != 1 || f.count("EHLO") > 0 {
		t.Errorf("the upstream heard\n%s", f.heard())
	}
}

// The recipients of an edited envelope have a reply each.
func TestLMTPEdited(t *testing.T) {
	for name, c := range map[string]struct {
		edits []filters.Edit
		mail  string
	}{
		"none":   {nil, "<1@y> <2@y>"},
		"added":  {[]filters.Edit{filters.AddRcpt{To: filters.Path{Raw: "<3@y>"}}, filters.AddRcpt{To: filters.Path{Raw: "<4@y>"}}}, "<1@y> <2@y> <3@y> <4@y>"},
		"less":   {[]filters.Edit{filters.RemoveRcpt{Raw: "<1@y>"}}, "<2@y>"},
		"others": {[]filters.Edit{filters.RemoveRcpt{Raw: "<1@y>"}, filters.RemoveRcpt{Raw: "<2@y>"}, filters.AddRcpt{To: filters.Path{Raw: "<3@y>"}}}, "<3@y>"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newLocal(t, "")
			r := local(t, f, func(o *relay.Options) {
				o.Chain = newNeedyChain(t, o.Log, filters.WholeMessage|filters.Edits, &stub{eom: func(tx *filters.Transaction) filters.Verdict {
					for _, e := range c.edits {
						if err := tx.Edit(e); err != nil {
							t.Error(err)
						}
					}
					return filters.Verdict{}
				}})
			})
			cl := r.greeted()
			for range 2 {
				cl.talk("MAIL FROM:<s@x>", "250", "RCPT TO:<1@y>", "250", "RCPT TO:<no@y>", "550", "RCPT TO:<2@y>", "250",
					"DATA", "354", "one\r\n.", "250 2.0.0 Delivered")
			}
			cl.talk("QUIT", "221")
			want := "1 <s@x> " + c.mail + ": one|"
			f.wantMails(want, want)
		})
	}
}
