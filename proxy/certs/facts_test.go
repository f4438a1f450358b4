package certs_test

import (
	"crypto/tls"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/certs"
)

// TestFacts holds what filters get to know.
func TestFacts(t *testing.T) {
	dir := t.TempDir()
	ca := newAuthority(t, "ca")
	pair := ca.issue(t, leaf{cn: "mx"}).files(t, dir, "mx")
	shelf, _ := newShelf(t)
	server := newServer(t, shelf, certs.Server{
		Certificates: []certs.Pair{pair}, MinVersion: tls.VersionTLS10,
		Clients: certs.Request, ClientCA: ca.file(t, dir, "ca.pem"),
	})
	ours := ca.issue(t, leaf{cn: "client.example"})

	client := showing(t, ours)
	client.ServerName = "MX.example.org"
	want := filters.TLS{
		Version: "TLSv1.3", ServerName: "mx.example.org",
		Client: "client.example", Fingerprint: sum(ours), Verified: true,
	}
	got := server.Facts(handshake(server.Config(), client).server)
	if !strings.HasPrefix(got.Cipher, "TLS_") {
		t.Errorf("cipher %q", got.Cipher)
	}
	got.Cipher = "" // depends on the machine
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	for version, spelt := range map[uint16]string{tls.VersionTLS10: "TLSv1", tls.VersionTLS11: "TLSv1.1"} {
		client := anyServer("")
		client.MinVersion, client.MaxVersion = version, version
		client.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}
		want := filters.TLS{Version: spelt, Cipher: "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA"}
		if diff := cmp.Diff(want, server.Facts(handshake(server.Config(), client).server)); diff != "" {
			t.Error(diff)
		}
	}
	if got := server.Facts(tls.ConnectionState{Version: tls.VersionTLS13}); got != (filters.TLS{}) {
		t.Errorf("without a handshake: %+v", got)
	}
}

// TestOddNames holds what becomes of names that a client makes up.
func TestOddNames(t *testing.T) {
	dir := t.TempDir()
	ca := newAuthority(t, "ca")
	pair := ca.issue(t, leaf{cn: "mx"}).files(t, dir, "mx")
	shelf, _ := newShelf(t)
	server := newServer(t, shelf, certs.Server{Certificates: []certs.Pair{pair}, Clients: certs.Request})
	for cn, want := range map[string]string{
		"a\r\nX: y\x00\x7f":      "a??X: y??",
		"m\u00fcller \u202e":     "m?ller ?",
		strings.Repeat("x", 255): strings.Repeat("x", 255),
		strings.Repeat("x", 256): "",
	} {
		m := handshake(server.Config(), showing(t, newAuthority(t, "x").issue(t, leaf{cn: cn})))
		if got := server.Facts(m.server); got.Client != want || got.Verified {
			t.Errorf("%q: %+v, want %q", cn, got, want)
		}
	}
	for name, want := range map[string]string{
		"mx.example.org": "mx.example.org", "MX": "mx", "a-b.1": "a-b.1",
		"a_b": "", "-a": "", "a-": "", "a..b": "", ".a": "", "a\r\nb": "", "a b": "", "m\u00fcller.example": "",
		"192.0.2.1": "", "2001:db8::1": "", "*.example.org": "",
		strings.Repeat("x", 63): strings.Repeat("x", 63), strings.Repeat("x", 64): "",
		strings.Repeat("x.", 126) + "y": strings.Repeat("x.", 126) + "y", strings.Repeat("x.", 127) + "y": "",
	} {
		got := server.Facts(tls.ConnectionState{HandshakeComplete: true, ServerName: name})
		if got.ServerName != want {
			t.Errorf("%q: %q, want %q", name, got.ServerName, want)
		}
	}
}
