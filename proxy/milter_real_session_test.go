package proxy_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// testMilterSessions holds sessions that are more than one message.
func testMilterSessions(t *testing.T, binary peer.Mailweir, kind mtaKind) {
	t.Run("two messages", func(t *testing.T) {
		w := newWeir(t, binary, kind, peer.MilterOptions{Chain: seenKinds, Unix: true})
		c := peer.Dial(t, w.mta.Address())
		c.Hello()
		deliver(c, "first@test.example")
		deliver(c, "second@test.example")
		c.Quit()
		w.both(t, "first@test.example", "second@test.example")
	})
	t.Run("a recipient refused between", func(t *testing.T) {
		w := newWeir(t, binary, kind, peer.MilterOptions{Chain: seenKinds, Unix: true})
		c := peer.Dial(t, w.mta.Address())
		c.Hello()
		deliver(c, "first@test.example")
		c.Do("250", "MAIL FROM:<from@test.example>")
		w.refusedAs(t, c.Do("550", "RCPT TO:<to@elsewhere.example>"), "rcpt", "relay_denied")
		c.Do("250", "RSET")
		deliver(c, "second@test.example")
		c.Quit()
		w.both(t, "first@test.example", "second@test.example")
	})
	t.Run("messages refused between", func(t *testing.T) {
		w := newWeir(t, binary, kind, peer.MilterOptions{Chain: "[size: {max: 1KiB}]", Delay: "connect", Unix: true})
		c := peer.Dial(t, w.mta.Address())
		c.Hello()
		deliver(c, "first@test.example")
		sendText(c, "big@test.example", "Subject: a test\r\n\r\n"+bigText, "552")
		w.refusedAs(t, c.Do("552", "MAIL FROM:<big@test.example> SIZE=2000"), "size", "declared_size")
		deliver(c, "second@test.example")
		c.Quit()
		w.both(t, "first@test.example", "second@test.example")
	})
	t.Run("reset", func(t *testing.T) {
		w := newWeir(t, binary, kind, peer.MilterOptions{Chain: seenKinds, Unix: true})
		c := peer.Dial(t, w.mta.Address())
		c.Hello()
		deliver(c, "first@test.example")
		c.Do("250", "MAIL FROM:<reset@test.example>")
		c.Do("250", "RCPT TO:<to@test.example>")
		c.Do("250", "RSET")
		deliver(c, "second@test.example")
		c.Quit()
		w.both(t, "first@test.example", "second@test.example")
		w.logged(t, "aborted", "reset@test.example")
	})
	t.Run("lost", func(t *testing.T) {
		w := newWeir(t, binary, kind, peer.MilterOptions{Chain: seenKinds, Unix: true})
		c := peer.Dial(t, w.mta.Address())
		c.Hello()
		deliver(c, "first@test.example")
		c.Do("250", "MAIL FROM:<lost@test.example>")
		c.Do("250", "RCPT TO:<to@test.example>")
		c.Do("354", "DATA")
		c.Write("Subject: a test\r\n\r\n" + bigText)
		c.Close()
		w.logged(t, "aborted", "lost@test.example")
		c = peer.Dial(t, w.mta.Address())
		c.Hello()
		deliver(c, "second@test.example")
		w.both(t, "first@test.example", "second@test.example")
	})
	t.Run("addresses", func(t *testing.T) {
		w := newWeir(t, binary, kind, peer.MilterOptions{Chain: seenKinds, Unix: true})
		c := peer.Dial(t, w.mta.Address())
		c.Hello()
		for _, from := range []string{"", "\"a b\"@test.example", "a+b=c@test.example"} {
			deliver(c, from)
			w.logged(t, "accepted", from)
		}
		c.Quit()
		if n := len(w.arrived(t)); n != 3 {
			t.Errorf("%d messages arrived, want 3", n)
		}
	})
	t.Run("STARTTLS", func(t *testing.T) { testMilterTLS(t, binary, kind) })
}

// both wants those two messages to arrive, and the log to have them.
func (w weir) both(t *testing.T, first, second string) {
	t.Helper()
	got := map[string]int{}
	for _, m := range w.arrived(t) {
		got[m.From]++
	}
	if len(got) != 2 || got[first] != 1 || got[second] != 1 {
		t.Errorf("messages by sender: %v, want one from %s and one from %s", got, first, second)
	}
	w.logged(t, "accepted", first)
	w.logged(t, "accepted", second)
}

// logged waits for a record about that sender.
func (w weir) logged(t *testing.T, msg, from string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		for _, record := range w.milter.Records(t, msg) {
			if record["from"] == from {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("the log has no record %q with the sender %s", msg, from)
		}
	}
}

// After STARTTLS the client greets again, and only that counts.
func testMilterTLS(t *testing.T, binary peer.Mailweir, kind mtaKind) {
	sink := peer.Sink(t)
	milter := binary.Milter(t, peer.MilterOptions{Chain: "[helo: {exempt: []}]", Unix: true})
	mta := kind.start(t, mtaOptions{relayhost: sink.Addr, milter: milter.Address, tls: peer.SelfSigned(t)})
	w := weir{milter, mta, sink}
	t.Run("from good to bad", func(t *testing.T) {
		c := peer.Dial(t, mta.Address())
		c.Hello()
		c.StartTLS()
		c.Do("250", "EHLO 192.0.2.1")
		c.Do("250", "MAIL FROM:<bad@test.example>")
		w.refusedAs(t, c.Do("550", "RCPT TO:<to@test.example>"), "helo", "helo_bare_address")
		c.Quit()
	})
	t.Run("from bad to good", func(t *testing.T) {
		c := peer.Dial(t, mta.Address())
		c.Do("250", "EHLO 192.0.2.1")
		c.StartTLS()
		c.Hello()
		deliver(c, "good@test.example")
		c.Quit()
	})
	if got := w.senders(t); got != "good@test.example" {
		t.Errorf("messages from %q arrived, want good@test.example only", got)
	}
}

// While mailweir is away the MTA does what its own configuration says, for the
// rest of the session that saw it go, too. Nothing is acknowledged and lost.
func testMilterKilled(t *testing.T, binary peer.Mailweir, kind mtaKind) {
	for _, unfiltered := range []bool{false, true} {
		t.Run(fmt.Sprintf("unfiltered %t", unfiltered), func(t *testing.T) {
			sink := peer.Sink(t)
			milter := binary.Milter(t, peer.MilterOptions{Chain: seenKinds, Unix: true})
			w := weir{milter, kind.start(t, mtaOptions{
				relayhost: sink.Addr, milter: milter.Address, unfiltered: unfiltered,
			}), sink}
			c := peer.Dial(t, w.mta.Address())
			c.Hello()
			deliver(c, "before@test.example")
			milter.Kill()
			without(c, unfiltered, "away@test.example")
			milter.Start(t)
			without(c, unfiltered, "still@test.example")
			c.Quit()

			c = peer.Dial(t, w.mta.Address())
			c.Hello()
			c.Do("250", "MAIL FROM:<amidst@test.example>")
			c.Do("250", "RCPT TO:<to@test.example>")
			c.Do("354", "DATA")
			c.Write("Subject: a test\r\n\r\n" + bigText)
			milter.Kill()
			c.Write(bigText + ".\r\n")
			if unfiltered {
				c.Expect("250")
			} else {
				c.Expect("451")
			}
			c.Quit()
			milter.Start(t)

			c = peer.Dial(t, w.mta.Address())
			c.Hello()
			deliver(c, "again@test.example")
			c.Do("250", "MAIL FROM:<from@test.example>")
			w.refusedAs(t, c.Do("550", "RCPT TO:<to@elsewhere.example>"), "rcpt", "relay_denied")
			c.Quit()

			want := map[string]bool{"before@test.example": true, "again@test.example": true}
			if unfiltered {
				want["away@test.example"], want["still@test.example"], want["amidst@test.example"] = true, true, true
			}
			arrived := w.arrived(t)
			for _, m := range arrived {
				if !want[m.From] {
					t.Errorf("a message from %s arrived", m.From)
				}
			}
			if len(arrived) != len(want) {
				t.Errorf("messages from %s arrived, want %v", senders(arrived), want)
			}
		})
	}
}

// without tries to send a message while the MTA has no milter to ask.
func without(c *peer.Client, unfiltered bool, from string) {
	if unfiltered {
		deliver(c, from)
		return
	}
	c.Do("451", "MAIL FROM:<"+from+">")
}

// None of two hundred messages is lost and none comes twice, and the log has a
// record of each.
func testMilterLoad(t *testing.T, binary peer.Mailweir, kind mtaKind) {
	for _, unix := range []bool{false, true} {
		t.Run(fmt.Sprintf("unix socket %t", unix), func(t *testing.T) {
			w := newWeir(t, binary, kind, peer.MilterOptions{Chain: seenKinds, Unix: unix})
			peer.SmtpSource(t, w.mta.Address(), "-s", "10", "-m", "200", "-N", "-l", "2000",
				"-f", "from@test.example", "-t", "to@test.example")
			times := map[string]int{}
			for _, m := range w.arrived(t) {
				times[m.To]++
			}
			for i := range 200 {
				if to := fmt.Sprintf("%dto@test.example", i+1); times[to] != 1 {
					t.Errorf("%s got %d messages, want one", to, times[to])
				}
			}
			if n := len(w.milter.Records(t, "accepted")); n != 200 {
				t.Errorf("the log has %d accepted messages, want 200", n)
			}
		})
	}
}
