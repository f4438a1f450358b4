package proxy_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// TestRelayReal runs mailweir as users do, between real clients, proxies and MTAs.
func TestRelayReal(t *testing.T) {
	binary := peer.BuildMailweir(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T, peer.Mailweir)
	}{
		{"certificates", testCertificates}, // it takes its time, and little else
		{"failover", testFailover},
		{"servers change", testServersChange},
		{"identities", testIdentities},
		{"xforward", testXForward},
		{"untaken", testUntaken},
		{"network", testNetwork},
		{"haproxy", testHAProxy},
		{"tls", testTLS},
		{"tls with upstreams", testUpstreamTLS},
		{"clients of certificates", testClientCertificates},
		{"logins", testLogins},
		{"sendmail", testBehindSendmail},
		{"lmtp", testDovecotLMTP},
		{"reuse", testReuseReal},
		{"processors", testProcessors},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, binary)
		})
	}
}

// served runs mailweir with these listeners, and returns where they listen.
func served(t *testing.T, binary peer.Mailweir, o peer.RelayOptions, listeners ...string) (*peer.Relay, []string) {
	t.Helper()
	o.Listener, o.More = listeners[0], listeners[1:]
	relay := binary.RelayWith(t, o)
	return relay, append([]string{relay.Addr}, relay.More...)
}

// listenerName is what the nth listener is called.
func listenerName(n int) string {
	if n == 0 {
		return "mx"
	}
	return fmt.Sprintf("more%d", n)
}

// swaked sends a message to that recipient with swaks, which must succeed.
func swaked(t *testing.T, addr, to string, args ...string) {
	t.Helper()
	args = append([]string{"--from", "from@test.example", "--to", to}, args...)
	if out, exit := peer.Swaks(t, addr, args...); exit != 0 {
		t.Fatalf("swaks ended with status %d:\n%s", exit, out)
	}
}

// messageTo waits for a message to that recipient.
func messageTo(t *testing.T, sink *peer.Recorder, to string) peer.Message {
	t.Helper()
	for n := 1; ; {
		all := sink.Wait(t, n, time.Minute)
		for _, m := range all {
			if m.To == to {
				return m
			}
		}
		n = len(all) + 1
	}
}

// sees wants that Postfix has got a message to that recipient from a client with
// that name and address, by its Received field and its log.
func sees(t *testing.T, postfix *peer.PostfixInstance, m peer.Message, name, address string) {
	t.Helper()
	literal := address
	if strings.Contains(address, ":") {
		literal = "IPv6:" + address
	}
	if want := "(" + name + " [" + literal + "]) "; !strings.Contains(m.Received(), want) {
		t.Errorf("Received: %s; want %s", m.Received(), want)
	}
	peer.Logged(t, postfix, `client=`+regexp.QuoteMeta(name+"["+address+"]")+`(,|$)`)
}

// written writes a file for this test.
func written(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// tells is a chain that writes what the rules know of a client into the message,
// as X-Knows: client via tls.version tls.server_name tls.client tls.verified auth.type auth.user.
func tells(t *testing.T) string {
	t.Helper()
	return "[rules: {file: " + written(t, "rules.yaml", `rules:
  - name: tells
    match: { esmtp: true }
    at: eom
    then:
      add_header: { name: X-Knows, value: "{client} {via} {tls.version} {tls.server_name} {tls.client} {tls.verified} {auth.type} {auth.user}" }
`) + "}]"
}

// knows returns the words of X-Knows.
func knows(m peer.Message) string {
	_, rest, _ := strings.Cut(string(m.Data), "X-Knows: ")
	line, _, _ := strings.Cut(rest, "\r\n")
	return line
}

// accepted waits for the log's record of a message to that recipient.
func accepted(t *testing.T, relay *peer.Relay, to string) map[string]any {
	t.Helper()
	peer.Logged(t, relay, `"msg":"accepted".*`+regexp.QuoteMeta(`"`+to+`"`))
	for _, record := range relay.Records(t, "accepted") {
		for _, rcpt := range record["to"].([]any) {
			if rcpt == to {
				return record
			}
		}
	}
	t.Fatalf("no record of a message to %s", to)
	return nil
}
