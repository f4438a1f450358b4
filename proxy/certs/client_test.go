package certs_test

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailweir/mailweir/proxy/certs"
)

// upstream is a server with that certificate.
func upstream(t *testing.T, m made) *tls.Config {
	t.Helper()
	return &tls.Config{Certificates: []tls.Certificate{m.pair(t)}}
}

func sum(m made) string {
	s := sha256.Sum256(m.leaf.Raw)
	return hex.EncodeToString(s[:])
}

// TestTrust holds which upstreams are trusted.
func TestTrust(t *testing.T) {
	dir := t.TempDir()
	ca := newAuthority(t, "ca")
	file := ca.file(t, dir, "ca.pem")
	good := ca.issue(t, leaf{names: []string{"mx.example.org"}, ip: net.ParseIP("192.0.2.25")})
	old := ca.issue(t, leaf{names: []string{"mx.example.org"}, ends: -time.Hour})
	foreign := newAuthority(t, "stranger").issue(t, leaf{names: []string{"mx.example.org"}})
	odd := newAuthority(t, "stranger\r\n250 x").issue(t, leaf{names: []string{"a\r\n250 ok\x00", strings.Repeat("x", 2000)}})
	public := system(t).issue(t, leaf{names: []string{"mx.example.org"}})
	pinned := []string{strings.Repeat("0", 64), strings.ToUpper(sum(foreign))}
	colons := []string{strings.Join(pairsOf(sum(old)), ":")}
	shelf, _ := newShelf(t)

	for _, c := range []struct {
		what string
		o    certs.Client
		name string
		is   made
		want string // part of the error, "" for trust
	}{
		{"trusted", certs.Client{CA: file, Verify: true}, "mx.example.org", good, ""},
		{"by address", certs.Client{CA: file, Verify: true}, "192.0.2.25", good, ""},
		{"with a dot", certs.Client{CA: file, Verify: true}, "mx.example.org.", good, ""},
		{"other name", certs.Client{CA: file, Verify: true}, "mx2.example.org", good, "of mx2.example.org is not trusted: x509: certificate is valid for mx.example.org, not mx2"},
		{"other address", certs.Client{CA: file, Verify: true}, "192.0.2.26", good, "not 192.0.2.26"},
		{"name set", certs.Client{CA: file, Verify: true, Name: "mx.example.org"}, "192.0.2.26", good, ""},
		{"other name set", certs.Client{CA: file, Verify: true, Name: "mx2.example.org"}, "mx.example.org", good, "not mx2"},
		{"no name", certs.Client{CA: file, Verify: true}, "", good, "set server_name or fingerprints"},
		{"expired", certs.Client{CA: file, Verify: true}, "mx.example.org", old, "expired"},
		{"foreign", certs.Client{CA: file, Verify: true}, "mx.example.org", foreign, "unknown authority"},
		{"of the system's", certs.Client{Verify: true}, "mx.example.org", public, ""},
		{"of the system's, which do not count", certs.Client{CA: file, Verify: true}, "mx.example.org", public, "unknown authority"},
		{"not of the system's", certs.Client{Verify: true}, "mx.example.org", good, "unknown authority"},
		{"its fingerprint", certs.Client{CA: file, Verify: true}, "mx.example.org", foreign, "its fingerprint is " + sum(foreign)},
		{"odd", certs.Client{CA: file, Verify: true}, "mx.example.org", odd, "is not trusted"},
		{"no checks", certs.Client{}, "", odd, ""},
		{"pinned", certs.Client{Verify: true, Fingerprints: pinned}, "elsewhere", foreign, ""},
		{"pinned without verify", certs.Client{Fingerprints: pinned}, "", foreign, ""},
		{"pinned, expired", certs.Client{Verify: true, Fingerprints: colons}, "", old, ""},
		{"not pinned", certs.Client{CA: file, Verify: true, Fingerprints: pinned}, "mx.example.org", good, "none of those in fingerprints (its fingerprint is " + sum(good)},
		{"not pinned without verify", certs.Client{Fingerprints: pinned}, "", good, "none of those"},
	} {
		m := handshake(upstream(t, c.is), newClient(t, shelf, c.o).Config(c.name))
		trusted(t, c.what, m, c.want)
	}
}

// trusted holds how a client takes to an upstream: with an error that has want
// in it, or with none if that is "".
func trusted(t *testing.T, what string, m met, want string) {
	t.Helper()
	if want == "" {
		if !m.ok() {
			t.Errorf("%s: %v, %v", what, m.serverErr, m.clientErr)
		}
		return
	}
	fault := (*certs.ServerError)(nil)
	if !errors.As(m.clientErr, &fault) || !strings.Contains(fault.Error(), want) {
		t.Errorf("%s: %v, want %s", what, m.clientErr, want)
		return
	}
	if text := m.clientErr.Error(); strings.ContainsAny(text, "\r\n\x00") || len(text) > 600 {
		t.Errorf("%s: %q is not for a log", what, text)
	}
	if m.serverErr == nil {
		t.Errorf("%s: the upstream thinks all is well", what)
	}
}

func pairsOf(s string) (pairs []string) {
	for i := 0; i < len(s); i += 2 {
		pairs = append(pairs, s[i:i+2])
	}
	return pairs
}

// TestServerName holds what name upstreams are asked for.
func TestServerName(t *testing.T) {
	server := upstream(t, newAuthority(t, "ca").issue(t, leaf{cn: "a"}))
	shelf, _ := newShelf(t)
	for _, c := range []struct{ set, name, want string }{
		{"", "mx.example.org", "mx.example.org"},
		{"", "mx.example.org.", "mx.example.org"},
		{"mail.example.org", "mx.example.org", "mail.example.org"},
		{"mail.example.org", "", "mail.example.org"},
		{"", "192.0.2.25", ""},
		{"", "2001:db8::25", ""},
		{"", "", ""},
	} {
		m := handshake(server, newClient(t, shelf, certs.Client{Name: c.set}).Config(c.name))
		if !m.ok() || m.server.ServerName != c.want {
			t.Errorf("%+v: asked for %q (%v)", c, m.server.ServerName, m.clientErr)
		}
	}
}

// TestTrustIsCheckedAgain takes the trust away between two handshakes, the
// second of which is resumed.
func TestTrustIsCheckedAgain(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		synctest.Test(t, func(t *testing.T) {
			dir := t.TempDir()
			ca := newAuthority(t, "ca")
			server := upstream(t, ca.issue(t, leaf{names: []string{"mx.example.org"}, ends: time.Hour}))
			server.MaxVersion = version
			shelf, _ := newShelf(t)
			client := newClient(t, shelf, certs.Client{CA: ca.file(t, dir, "ca.pem"), Verify: true})

			for _, resumed := range []bool{false, true} {
				if m := handshake(server, client.Config("mx.example.org")); !m.ok() || m.client.DidResume != resumed {
					t.Errorf("%v; resumed %v, want %v", m.clientErr, m.client.DidResume, resumed)
				}
			}
			newAuthority(t, "another").file(t, dir, "ca.pem")
			time.Sleep(twoLooks)
			synctest.Wait()
			if m := handshake(server, client.Config("mx.example.org")); m.clientErr == nil {
				t.Errorf("trusted with another authority; resumed %v", m.client.DidResume)
			}
			ca.file(t, dir, "ca.pem")
			time.Sleep(twoLooks)
			synctest.Wait()
			if m := handshake(server, client.Config("mx.example.org")); !m.ok() {
				t.Error(m.clientErr)
			}
			time.Sleep(2 * time.Hour)
			if m := handshake(server, client.Config("mx.example.org")); m.clientErr == nil {
				t.Errorf("trusted beyond its end; resumed %v", m.client.DidResume)
			}
		})
	}
}

// TestOwnCertificate holds what an upstream gets to see of us.
func TestOwnCertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		ca := newAuthority(t, "ca")
		server := upstream(t, ca.issue(t, leaf{cn: "mx"}))
		server.ClientAuth = tls.RequestClientCert
		server.ClientCAs = nil
		shelf, _ := newShelf(t)
		expect := func(client *certs.ClientConfig, want string, resumed bool) {
			t.Helper()
			m := handshake(server, client.Config("mx"))
			got := ""
			if certs := m.server.PeerCertificates; len(certs) > 0 {
				got = certs[0].Subject.CommonName
			}
			if !m.ok() || got != want || m.client.DidResume != resumed {
				t.Errorf("we are %q, want %q; resumed %v (%v, %v)", got, want, m.client.DidResume, m.serverErr, m.clientErr)
			}
		}
		expect(newClient(t, shelf, certs.Client{}), "", false)

		p := ca.issue(t, leaf{cn: "a"}).files(t, dir, "own")
		client := newClient(t, shelf, certs.Client{Certificate: p.Certificate, Key: p.Key})
		expect(client, "a", false)
		expect(client, "a", true)
		ca.issue(t, leaf{cn: "b"}).files(t, dir, "own")
		time.Sleep(twoLooks)
		synctest.Wait()
		expect(client, "b", false) // not the session of a
		expect(client, "b", true)
	})
}

// TestClock holds that the host's clock counts, at either end.
func TestClock(t *testing.T) {
	dir := t.TempDir()
	ca := newAuthority(t, "ca")
	file := ca.file(t, dir, "ca.pem")
	ours := ca.issue(t, leaf{names: []string{"mx.example.org"}})
	pair := ours.files(t, dir, "mx")
	for late, want := range map[time.Duration]bool{89 * day: true, 91 * day: false} {
		shelf, _ := newShelfWith(t, ahead(late))
		client := newClient(t, shelf, certs.Client{CA: file, Verify: true})
		if m := handshake(upstream(t, ours), client.Config("mx.example.org")); m.ok() != want {
			t.Errorf("%v later: upstream: %v", late, m.clientErr)
		}
		for _, ask := range []certs.Clients{certs.Request, certs.Require} {
			server := newServer(t, shelf, certs.Server{Certificates: []certs.Pair{pair}, Clients: ask, ClientCA: file})
			m := handshake(server.Config(), showing(t, ours))
			if server.Facts(m.server).Verified != want || m.ok() != (want || ask == certs.Request) {
				t.Errorf("%v later: client: %v, %v", late, m.serverErr, m.clientErr)
			}
		}
	}
}
