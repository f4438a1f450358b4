package proxy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// Dovecot takes mail over LMTP, at once or not at all as its clients see it.
func testDovecotLMTP(t *testing.T, binary peer.Mailweir) {
	ca := peer.NewAuthority(t)
	dovecot := peer.Dovecot(t, peer.DovecotOptions{
		Users: map[string]string{"joe@test.example": "1", "jane@test.example": "2", "full@test.example": "3", "broken@test.example": "4"},
		Full:  []string{"full@test.example"}, Broken: []string{"broken@test.example"},
		TLS: ca.Server(t, "lmtp.test.example"),
	})
	relay := binary.RelayWith(t, peer.RelayOptions{
		Listener: fmt.Sprintf("upstream: {address: %q, protocol: lmtp}", "unix:"+dovecot.Socket),
		More: []string{
			fmt.Sprintf("upstream: {address: %q, protocol: lmtp, tls: {mode: required, ca: %s, server_name: lmtp.test.example}}", dovecot.Addr, ca.File),
			fmt.Sprintf("upstream: {address: %q, protocol: lmtp, identity: xclient}", dovecot.Addr),
			fmt.Sprintf("upstream: {address: %q, protocol: lmtp, identity: proxy, proxy_version: 1}", dovecot.Behind),
			fmt.Sprintf("upstream: {address: %q, protocol: lmtp, identity: proxy}", dovecot.Behind),
		},
	})
	for i, addr := range []string{relay.Addr, relay.More[0]} {
		c := peer.Dial(t, addr)
		c.Do("500", "LHLO client.test.example")
		if hello := c.Hello(); strings.Contains(hello, "CHUNKING") || strings.Contains(hello, "BINARYMIME") {
			t.Errorf("more is offered than can be:\n%s", hello)
		}
		for j, test := range []struct{ to, rcpt, text string }{
			{"joe", "250", "250 2.0.0 <joe@test.example>"},
			{"joe jane", "250 250", "250 2.0.0 <joe@test.example>"},
			{"joe full", "250 250", "552 5.2.2 <full@test.example>"},
			{"broken joe", "250 250", "451 4.2.0 <broken@test.example>"},
			{"full broken joe", "250 250 250", "451 4.2.0 <broken@test.example>"},
			{"unknown joe", "550 250", "250 2.0.0 <joe@test.example>"},
			{"full", "250", "552 5.2.2 <full@test.example>"},
		} {
			c.Do("250", fmt.Sprintf("MAIL FROM:<a%d-%d@test.example>", i, j))
			codes := strings.Fields(test.rcpt)
			for k, user := range strings.Fields(test.to) {
				c.Do(codes[k], "RCPT TO:<"+user+"@test.example>")
			}
			c.Do("354", "DATA")
			c.Write(fmt.Sprintf("Subject: %d-%d\r\n\r\n..a dot\r\n.\r\n", i, j))
			c.Expect(test.text)
		}
		c.Quit()
	}
	lmtpIdentities(t, dovecot, relay.More[1:])
	for user, want := range map[string]int{"joe": 12, "jane": 5, "full": 0} {
		messages := dovecot.Mailbox(t, user+"@test.example")
		for _, m := range messages {
			if !strings.Contains(m, "\n\n.a dot\n") {
				t.Errorf("%s has got %q", user, m)
			}
		}
		if len(messages) != want {
			t.Errorf("%s has got %d messages, want %d", user, len(messages), want)
		}
	}
	if n := len(relay.Records(t, "some recipients have accepted a message that others refuse")); n != 6 {
		t.Errorf("the log has %d messages that some have accepted, want 6", n)
	}
}

// lmtpIdentities wants Dovecot to know the clients of each of these listeners.
func lmtpIdentities(t *testing.T, dovecot *peer.DovecotInstance, doors []string) {
	t.Helper()
	for i, addr := range doors {
		client := fmt.Sprintf("127.0.0.%d", 61+i)
		swaked(t, addr, "jane@test.example", "--local-interface", client, "--body", ".a dot")
		if got := dovecot.Mailbox(t, "jane@test.example"); !strings.Contains(strings.Join(got, ""), "Received: from client.test.example (["+client+"])") {
			t.Errorf("Dovecot does not know the client %s: %q", client, got)
		}
	}
}
