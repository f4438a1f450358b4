package peer_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mailweir/mailweir/proxy/internal/peer"
)

func TestSmtpSourceThroughSendmail(t *testing.T) {
	sink := peer.Sink(t)
	sendmail := peer.Sendmail(t, peer.SendmailOptions{Relayhost: sink.Addr})
	peer.SmtpSource(t, sendmail.Addr, "-s", "10", "-m", "100", "-N", "-l", "2000",
		"-f", "from@test.example", "-t", "to@test.example")
	sendmail.Settle(t, time.Minute)
	times := map[string]int{}
	for _, m := range sink.Messages() {
		times[m.To]++
	}
	for i := range 100 {
		if to := fmt.Sprintf("%dto@test.example", i+1); times[to] != 1 {
			t.Errorf("%s got %d messages, want one", to, times[to])
		}
	}
	if !strings.Contains(sendmail.Log(), "from=<from@test.example>") {
		t.Errorf("the log lacks the sender:\n%s", sendmail.Log())
	}
}

// A message goes over TLS through either MTA.
func TestStartTLS(t *testing.T) {
	sink := peer.Sink(t)
	cert := peer.SelfSigned(t)
	for name, mta := range map[string]peer.MTA{
		"Postfix":  peer.Postfix(t, peer.PostfixOptions{Relayhost: sink.Addr, TLS: cert}),
		"Sendmail": peer.Sendmail(t, peer.SendmailOptions{Relayhost: sink.Addr, TLS: cert}),
	} {
		t.Run(name, func(t *testing.T) {
			before := len(sink.Messages())
			c := peer.Dial(t, mta.Address())
			c.Hello()
			c.StartTLS()
			c.Hello()
			c.Do("250", "MAIL FROM:<a@test.example>")
			c.Do("250", "RCPT TO:<b@test.example>")
			c.Do("354", "DATA")
			c.Write("Subject: a test\r\n\r\nbody\r\n.\r\n")
			c.Expect("250")
			c.Quit()
			m := sink.Wait(t, before+1, time.Minute)[before]
			if received, _, _ := strings.Cut(string(m.Data), "\r\nSubject:"); !strings.Contains(received, "with ESMTPS ") {
				t.Errorf("no TLS in:\n%s", received)
			}
		})
	}
}

// Without their milter the MTAs do what their options say.
func TestMilterFlags(t *testing.T) {
	sink := peer.Sink(t)
	gone := "inet:" + peer.FreeAddr(t)
	postfix := peer.Postfix(t, peer.PostfixOptions{
		Relayhost: sink.Addr, Milter: gone, Default: "tempfail",
		Services: []map[string]string{
			{"milter_default_action": "accept"},
			{"smtpd_milters": "{ " + gone + ", default_action=quarantine }"},
		},
	})
	sendmail := func(flag string) string {
		return peer.Sendmail(t, peer.SendmailOptions{Relayhost: sink.Addr, Milter: gone, Flag: flag}).Addr
	}
	for _, test := range []struct{ name, addr, code string }{
		{"Postfix tempfail", postfix.Addr, "451"},
		{"Postfix accept", postfix.Services[0], "250"},
		{"Postfix quarantine", postfix.Services[1], "250"},
		{"Sendmail T", sendmail("T"), "451"},
		{"Sendmail", sendmail(""), "250"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := peer.Dial(t, test.addr)
			c.Hello()
			c.Do(test.code, "MAIL FROM:<a@test.example>")
			if test.code != "250" {
				return
			}
			c.Do("250", "RCPT TO:<b@test.example>")
			c.Do("354", "DATA")
			c.Write("Subject: a test\r\n\r\nbody\r\n.\r\n")
			c.Expect("250")
		})
	}
	sink.Wait(t, 2, time.Minute)
	if n := postfix.Quarantined(t); n != 1 {
		t.Errorf("Postfix has set %d messages aside, want 1", n)
	}
}
