package peer_test

import (
	"strings"
	"testing"
	"time"

	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// Postfix lets in whom Dovecot knows, by each of the mechanisms, and nobody else.
func TestLogins(t *testing.T) {
	sink := peer.Sink(t)
	dovecot := peer.Dovecot(t, peer.DovecotOptions{Users: map[string]string{"joe@test.example": "s3cret, with space"}})
	postfix := peer.Postfix(t, peer.PostfixOptions{
		Relayhost: sink.Addr, Logins: dovecot,
		Main: map[string]string{"smtpd_relay_restrictions": "permit_sasl_authenticated, reject"},
	})
	for _, test := range []struct {
		mechanism, password string
		exit                int
	}{
		{"PLAIN", "s3cret, with space", 0},
		{"LOGIN", "s3cret, with space", 0},
		{"CRAM-MD5", "s3cret, with space", 0},
		{"PLAIN", "wrong", 28},
		{"LOGIN", "wrong", 28},
		{"CRAM-MD5", "wrong", 28},
		{"", "", 24},
	} {
		t.Run(test.mechanism+" "+test.password, func(t *testing.T) {
			before := len(sink.Messages())
			args := []string{"--from", "a@test.example", "--to", "b@test.example"}
			if test.mechanism != "" {
				args = append(args, "--auth", test.mechanism, "--auth-user", "joe@test.example", "--auth-password", test.password)
			}
			out, exit := peer.Swaks(t, postfix.Addr, args...)
			if exit != test.exit {
				t.Fatalf("swaks: status %d, want %d\n%s", exit, test.exit, out)
			}
			if exit != 0 {
				return
			}
			received := sink.Wait(t, before+1, time.Minute)[before].Received()
			if !strings.Contains(received, "(Authenticated sender: joe@test.example)") || !strings.Contains(received, " with ESMTPA ") {
				t.Errorf("no login in %s", received)
			}
			peer.Logged(t, postfix, `client=.*, sasl_method=`+test.mechanism+`, sasl_username=joe@test\.example$`)
		})
	}
}

// Each mechanism is there, and SCRAM works too.
func TestMechanisms(t *testing.T) {
	dovecot := peer.Dovecot(t, peer.DovecotOptions{Users: map[string]string{"joe": "secret"}})
	postfix := peer.Postfix(t, peer.PostfixOptions{Logins: dovecot})
	c := peer.Dial(t, postfix.Addr)
	hello := c.Hello()
	for _, mechanism := range peer.Mechanisms {
		if !strings.Contains(hello, mechanism) {
			t.Errorf("%s is not offered:\n%s", mechanism, hello)
		}
	}
	if reply := c.AuthSCRAM("joe", "wrong"); !strings.HasPrefix(reply, "535") {
		t.Errorf("a wrong password gives %q, want 535", reply)
	}
	if reply := c.AuthSCRAM("joe", "secret"); !strings.HasPrefix(reply, "235") {
		t.Errorf("the right password gives %q, want 235", reply)
	}
}

// Dovecot answers for each recipient by itself, over both of its sockets (RFC 2033
// section 4.2).
func TestLMTP(t *testing.T) {
	dovecot := peer.Dovecot(t, peer.DovecotOptions{
		Users:  map[string]string{"joe": "1", "jane@test.example": "2", "full@test.example": "3", "broken@test.example": "4"},
		Full:   []string{"full@test.example"},
		Broken: []string{"broken@test.example"},
	})
	c := peer.Dial(t, dovecot.Addr)
	c.Do("250", "LHLO client.test.example")
	c.Do("250", "MAIL FROM:<a@test.example>")
	c.Do("250", "RCPT TO:<joe>")
	c.Do("250", "RCPT TO:<full@test.example>")
	c.Do("550", "RCPT TO:<unknown@test.example>")
	c.Do("250", "RCPT TO:<broken@test.example>")
	c.Do("250", "RCPT TO:<jane@test.example>")
	c.Do("354", "DATA")
	c.Write("Subject: a test\r\n\r\nbody\r\n.\r\n")
	c.Expect("250 2.0.0 <joe>")
	c.Expect("552 5.2.2 <full@test.example>")
	c.Expect("451 4.2.0 <broken@test.example>")
	c.Expect("250 2.0.0 <jane@test.example>")
	c.Quit()
	for user, want := range map[string]int{"joe": 1, "jane@test.example": 1, "full@test.example": 0} {
		messages := dovecot.Mailbox(t, user)
		if len(messages) != want || want == 1 && !strings.HasSuffix(messages[0], "\n\nbody\n") {
			t.Errorf("the mailbox of %s has %q, want %d messages", user, messages, want)
		}
	}
	peer.Logged(t, dovecot, `lmtp\(joe\).* saved mail to INBOX`)
}

// Dovecot takes LMTP on its Unix socket too, speaks TLS, and takes on trust who its
// client says that it speaks for.
func TestLMTPSocket(t *testing.T) {
	ca := peer.NewAuthority(t)
	dovecot := peer.Dovecot(t, peer.DovecotOptions{
		Users: map[string]string{"joe": "1"},
		TLS:   ca.Server(t, "lmtp.test.example"),
	})
	c := peer.Dial(t, dovecot.Socket)
	if hello := c.Do("250", "LHLO client.test.example"); !strings.Contains(hello, "STARTTLS") {
		t.Errorf("no STARTTLS:\n%s", hello)
	}
	c.StartTLSWith(ca.TLS("lmtp.test.example"))
	c.Do("250", "LHLO client.test.example")
	c.Do("250", "MAIL FROM:<a@test.example>")
	c.Do("250", "RCPT TO:<joe>")
	c.Quit()
	for addr, told := range map[string]string{
		dovecot.Addr:   "LHLO proxy.test.example\r\nXCLIENT ADDR=192.0.2.7 PORT=4711\r\n",
		dovecot.Behind: "PROXY TCP4 192.0.2.7 192.0.2.1 4711 24\r\n",
	} {
		c := peer.DialFrom(t, "", addr)
		c.Write(told)
		for range strings.Count(told, "\n") { // of the greeting, if not of the header
			c.Expect("2")
		}
		if addr == dovecot.Addr {
			c.Expect("220")
		}
		c.Do("250", "LHLO client.test.example")
		c.Do("250", "MAIL FROM:<a@test.example>")
		c.Do("250", "RCPT TO:<joe>")
		c.Do("354", "DATA")
		c.Write("Subject: a test\r\n\r\nbody\r\n.\r\n")
		c.Expect("250")
		c.Quit()
	}
	for _, m := range dovecot.Mailbox(t, "joe") {
		if !strings.Contains(m, "Received: from client.test.example ([192.0.2.7])") {
			t.Errorf("Dovecot does not know the client: %q", m)
		}
	}
}
