package certs_test

import (
	"crypto/tls"
	"testing"

	"github.com/mailweir/mailweir/proxy/certs"
)

// TestChoice tells by its common name which certificate a client gets.
func TestChoice(t *testing.T) {
	dir := t.TempDir()
	ca := newAuthority(t, "ca")
	var pairs []certs.Pair
	for _, l := range []leaf{
		{cn: "first", names: []string{"mx.example.org"}},
		{cn: "first rsa", names: []string{"mx.example.org"}, key: rsaKey()},
		{cn: "wild", names: []string{"*.example.net", "other.example"}},
		{cn: "exact", names: []string{"Deep.Example.NET"}},
	} {
		pairs = append(pairs, ca.issue(t, l).files(t, dir, l.cn))
	}
	shelf, _ := newShelf(t)
	server := newServer(t, shelf, certs.Server{Certificates: pairs})

	onlyRSA := func(c *tls.Config) {
		c.MaxVersion = tls.VersionTLS12
		c.CipherSuites = []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
	}
	onlyEC := func(c *tls.Config) {
		c.MaxVersion = tls.VersionTLS12
		c.CipherSuites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}
	}
	any := func(*tls.Config) {}
	for _, c := range []struct {
		name  string
		limit func(*tls.Config)
		want  string
	}{
		{"", any, "first"},
		{"mx.example.org", any, "first"},
		{"MX.Example.Org", any, "first"},
		{"mx.example.org", onlyEC, "first"},
		{"mx.example.org", onlyRSA, "first rsa"},
		{"", onlyRSA, "first rsa"},
		{"other.example", any, "wild"},
		{"a.example.net", any, "wild"},
		{"A.EXAMPLE.net", any, "wild"},
		{"deep.example.net", any, "exact"},
		{"deep.example.net", onlyRSA, "first rsa"}, // better than none
		{"a.b.example.net", any, "first"},
		{"example.net", any, "first"},
		{"unknown.example", any, "first"},
		{"unknown.example", onlyRSA, "first rsa"},
		{"net", any, "first"},
	} {
		client := anyServer(c.name)
		c.limit(client)
		if m := handshake(server.Config(), client); !m.ok() || m.seen() != c.want {
			t.Errorf("a client that asks for %q gets %q, want %q (%v, %v)", c.name, m.seen(), c.want, m.serverErr, m.clientErr)
		}
	}
}

// TestNoChoice has a client that can do with no key that there is.
func TestNoChoice(t *testing.T) {
	ca := newAuthority(t, "ca")
	pair := ca.issue(t, leaf{names: []string{"mx.example.org"}}).files(t, t.TempDir(), "mx")
	shelf, _ := newShelf(t)
	server := newServer(t, shelf, certs.Server{Certificates: []certs.Pair{pair}})
	client := anyServer("mx.example.org")
	client.MaxVersion = tls.VersionTLS12
	client.CipherSuites = []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
	if m := handshake(server.Config(), client); m.serverErr == nil || m.clientErr == nil {
		t.Errorf("it was served: %v, %v", m.serverErr, m.clientErr)
	}
}

// TestChain holds that the issuers in the file reach the client.
func TestChain(t *testing.T) {
	root := newAuthority(t, "root")
	shelf, _ := newShelf(t)
	m := root.issue(t, leaf{names: []string{"mx.example.org"}})
	m.cert = join(m.cert, []byte("a comment\n"), root.pem())
	server := newServer(t, shelf, certs.Server{Certificates: []certs.Pair{m.files(t, t.TempDir(), "mx")}})
	if met := handshake(server.Config(), anyServer("")); !met.ok() || len(met.client.PeerCertificates) != 2 {
		t.Errorf("%d certificates, want 2", len(met.client.PeerCertificates))
	}
}
