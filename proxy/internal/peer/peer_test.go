package peer_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mailweir/mailweir/proxy/internal/peer"
)

func TestSmtpSourceThroughPostfix(t *testing.T) {
	sink := peer.Sink(t)
	postfix := peer.Postfix(t, peer.PostfixOptions{Relayhost: sink.Addr})
	peer.SmtpSource(t, postfix.Addr, "-s", "10", "-m", "200", "-N", "-l", "2000",
		"-f", "from@test.example", "-t", "to@test.example")
	postfix.Settle(t, time.Minute)
	times := map[string]int{}
	for _, m := range sink.Messages() {
		times[m.To]++
	}
	for i := range 200 {
		if to := fmt.Sprintf("%dto@test.example", i+1); times[to] != 1 {
			t.Errorf("%s got %d messages, want one", to, times[to])
		}
	}
}

func TestSwaksThroughPostfix(t *testing.T) {
	sink := peer.Sink(t)
	postfix := peer.Postfix(t, peer.PostfixOptions{Relayhost: sink.Addr})
	out, exit := peer.Swaks(t, postfix.Addr, "--from", "a@test.example", "--to", "b@test.example",
		"--header", "Subject: a test", "--body", ".\n..\nlast line")
	if exit != 0 {
		t.Fatalf("swaks: status %d\n%s", exit, out)
	}
	m := sink.Wait(t, 1, time.Minute)[0]
	if m.From != "a@test.example" || m.To != "b@test.example" {
		t.Errorf("envelope %s -> %s", m.From, m.To)
	}
	if !strings.Contains(string(m.Data), "\r\n\r\n.\r\n..\r\nlast line\r\n") {
		t.Errorf("body altered:\n%s", m.Data)
	}
}

// The corpus of mailweir's end-to-end tests is worth something only if
// Postfix alone passes it unaltered.
func TestPostfixAltersNothing(t *testing.T) {
	sink := peer.Sink(t)
	postfix := peer.Postfix(t, peer.PostfixOptions{Relayhost: sink.Addr})
	long := strings.Repeat("0123456789", 10_000)
	for name, text := range map[string]string{
		"dots":        "Subject: dots\r\n\r\n.\r\n..\r\n.a\r\n",
		"long lines":  "Subject: long\r\n\r\n" + long + "\r\n" + long + "\r\n",
		"long field":  "Subject: long\r\nX-Long: " + long + "\r\n\r\nbody\r\n",
		"8 bit":       "Subject: \xfc\r\n\r\n\xff\xfe\x80\r\n",
		"header only": "Subject: nothing below\r\n",
		"empty body":  "Subject: empty\r\n\r\n",
		"empty":       "",
		"body only":   "\r\nbody\r\n",
		"NUL":         "Subject: nul\r\n\r\na\x00b\r\n",
		"blanks":      "Subject:  two spaces \r\n\t folded\r\n\r\n \r\ntrailing \t\r\n\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			before := len(sink.Messages())
			c := peer.Dial(t, postfix.Addr)
			c.Hello()
			c.Do("250", "MAIL FROM:<a@test.example>")
			c.Do("250", "RCPT TO:<b@test.example>")
			c.Do("354", "DATA")
			c.Write(peer.Stuff(text) + ".\r\n")
			c.Expect("250")
			c.Quit()
			got := sink.Wait(t, before+1, time.Minute)[before]
			peer.SameText(t, string(got.BelowReceived()), text)
		})
	}
}

// What Postfix has acknowledged is there after it was killed, once.
func TestPostfixKilled(t *testing.T) {
	postfix := peer.Postfix(t, peer.PostfixOptions{
		Main: map[string]string{"smtpd_client_restrictions": "check_client_access static:HOLD"},
	})
	for i := range 2 {
		c := peer.Dial(t, postfix.Addr)
		c.Hello()
		c.Do("250", "MAIL FROM:<a@test.example>")
		c.Do("250", "RCPT TO:<b@test.example>")
		c.Do("354", "DATA")
		c.Write(fmt.Sprintf("Subject: number %d\r\n\r\nbody\r\n.\r\n", i))
		c.Expect("250")
		postfix.Kill(t)
		if reply, err := c.Reply(); err == nil {
			t.Errorf("it goes on: %q", reply)
		}
		postfix.Start(t)
	}
	held := strings.Join(postfix.Held(t), "")
	for i := range 2 {
		if n := strings.Count(held, fmt.Sprintf("Subject: number %d", i)); n != 1 {
			t.Errorf("message %d is there %d times", i, n)
		}
	}
}
