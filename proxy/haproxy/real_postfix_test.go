package haproxy_test

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/haproxy"
	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// TestRealPostfix lets Postfix read what Append writes: its log tells whom it
// took for the client.
func TestRealPostfix(t *testing.T) {
	postfix := peer.Postfix(t, peer.PostfixOptions{
		Main:     map[string]string{"inet_protocols": "all"}, // else it takes no IPv6 addresses
		Services: []map[string]string{{"smtpd_upstream_proxy_protocol": "haproxy"}},
	})
	everything := haproxy.Header{Source: from4, Dest: to4, ServerName: "mx.example", UniqueID: "id",
		TLS: &filters.TLS{Version: "TLSv1.3", Cipher: suite, Client: "c.example", Verified: true}}
	for _, c := range []struct {
		name    string
		version int
		h       haproxy.Header
		want    string
	}{
		{"1, IPv4", 1, everything, "connect from unknown[198.51.100.7]"},
		{"1, IPv6", 1, haproxy.Header{Source: from6, Dest: to6}, "connect from unknown[2001:db8::7]"},
		{"2, IPv4", 2, everything, "connect from unknown[198.51.100.7]"},
		{"2, IPv6", 2, haproxy.Header{Source: from6, Dest: to6}, "connect from unknown[2001:db8::7]"},
		{"2, local", 2, local, "connect from unknown[127.0.0.1]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := strings.Count(postfix.Log(), c.want)
			wire, err := haproxy.Append(nil, c.version, c.h)
			if err != nil {
				t.Fatal(err)
			}
			if got := greeting(t, postfix.Services[0], string(wire)); !strings.HasPrefix(got, "220 ") {
				t.Fatalf("it answers %q", got)
			}
			for deadline := time.Now().Add(20 * time.Second); strings.Count(postfix.Log(), c.want) == before; time.Sleep(10 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("its log has no new %q", c.want)
				}
			}
		})
	}
}

// greeting says wire to a server and returns the first line that it answers.
func greeting(t *testing.T, addr, wire string) string {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	conn, err := net.Dial("tcp", addr)
	for err != nil && time.Now().Before(deadline) { // it opens one place after the other
		time.Sleep(10 * time.Millisecond)
		conn, err = net.Dial("tcp", addr)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(deadline)
	if _, err := io.WriteString(conn, wire); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return line
}
