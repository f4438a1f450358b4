package proxy_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// TestProbePostfix probes a Postfix that trusts us, and does not know the client
// until it is told.
func TestProbePostfix(t *testing.T) {
	binary := peer.BuildMailweir(t)
	xclient := map[string]string{"smtpd_authorized_xclient_hosts": "127.0.0.0/8"}
	header := map[string]string{"smtpd_upstream_proxy_protocol": "haproxy"}
	postfix := peer.Postfix(t, peer.PostfixOptions{TLS: peer.SelfSigned(t), Services: []map[string]string{xclient, header}})
	const open, denied = "OPEN RELAY BY TRUST: whoever reaches mailweir may send anywhere through this upstream; it answers 250", "refused: 554 5.7.1"
	for _, c := range []struct {
		name, upstream string
		exit           int
		words          []string
	}{
		{"trust", fmt.Sprintf("{address: %q}", postfix.Addr), 1, []string{open, "take that out of mynetworks", "greeting  220 mx.test.example ESMTP", "STARTTLS"}},
		{"TLS", fmt.Sprintf("{address: %q, tls: {mode: opportunistic}}", postfix.Addr), 1, []string{open, "tls       TLS 1.3", "certificate of mx.test.example until", "not verified"}},
		{"unknown certificate", fmt.Sprintf("{address: %q, tls: {mode: required}}", postfix.Addr), 1, []string{"error     TLS handshake: the certificate of 127.0.0.1 is not trusted", "certificate of mx.test.example until"}},
		{"XCLIENT", fmt.Sprintf("{address: %q, identity: xclient}", postfix.Services[0]), 0, []string{denied, "identity  xclient: taken"}},
		{"XCLIENT not allowed", fmt.Sprintf("{address: %q, identity: xclient}", postfix.Addr), 1, []string{"identity  xclient: not taken", "set smtpd_authorized_xclient_hosts = 127.0.0.1"}},
		{"PROXY", fmt.Sprintf("{address: %q, identity: proxy}", postfix.Services[1]), 0, []string{denied, "identity  proxy: taken"}},
		{"PROXY not expected", fmt.Sprintf("{address: %q, identity: proxy}", postfix.Addr), 1, []string{"identity  proxy: not taken", "set smtpd_upstream_proxy_protocol = haproxy"}},
		{"XFORWARD", fmt.Sprintf("{address: %q, identity: xforward}", postfix.Addr), 1, []string{"identity  xforward: not taken"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, exit := check(t, binary, c.upstream)
			if exit != c.exit {
				t.Errorf("exit code %d, want %d", exit, c.exit)
			}
			for _, word := range c.words {
				if !strings.Contains(out, word) {
					t.Errorf("%q is not in:\n%s", word, out)
				}
			}
		})
	}
}

// check probes an upstream by the command line.
func check(t *testing.T, binary peer.Mailweir, upstream string) (out string, exit int) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "mailweir.yaml")
	config := "hostname: relay.test.example\nlisteners:\n  - {name: mx, address: \":25\", upstream: " + upstream + "}\n"
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	all, err := exec.CommandContext(t.Context(), string(binary), "check", "--probe", "-c", file).CombinedOutput()
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		return string(all), ended.ExitCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(all), 0
}
