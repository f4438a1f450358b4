package certs_test

import (
	"crypto/tls"
	"crypto/x509"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailweir/mailweir/proxy/certs"
)

// showing is a client with a certificate.
func showing(t *testing.T, m made) *tls.Config {
	t.Helper()
	c := anyServer("mx.example.org")
	cert := m.pair(t)
	// Not Certificates: those are kept back from servers with other authorities.
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }
	return c
}

// TestClients holds what comes of the certificates of clients.
func TestClients(t *testing.T) {
	dir := t.TempDir()
	ca, stranger := newAuthority(t, "ca"), newAuthority(t, "stranger")
	pair := ca.issue(t, leaf{names: []string{"mx.example.org"}}).files(t, dir, "mx")
	file := ca.file(t, dir, "ca.pem")
	ours := ca.issue(t, leaf{cn: "ours"})
	foreign := stranger.issue(t, leaf{cn: "foreign"})
	old := ca.issue(t, leaf{cn: "old", ends: -time.Hour})
	forServers := ca.issue(t, leaf{cn: "server", uses: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	public := system(t).issue(t, leaf{cn: "public"})
	shelf, _ := newShelf(t)

	for _, c := range []struct {
		what     string
		clients  certs.Clients
		ca       string
		show     *made
		ok       bool
		cn       string
		verified bool
	}{
		{"none", certs.None, "", &ours, true, "", false},
		{"none, with authorities", certs.None, file, &ours, true, "", false},
		{"requested, nothing shown", certs.Request, file, nil, true, "", false},
		{"requested", certs.Request, file, &ours, true, "ours", true},
		{"requested, foreign", certs.Request, file, &foreign, true, "foreign", false},
		{"requested, expired", certs.Request, file, &old, true, "old", false},
		{"requested, for servers", certs.Request, file, &forServers, true, "server", false},
		{"requested without authorities", certs.Request, "", &ours, true, "ours", false},
		{"requested without authorities, public", certs.Request, "", &public, true, "public", false},
		{"required", certs.Require, file, &ours, true, "ours", true},
		{"required, nothing shown", certs.Require, file, nil, false, "", false},
		{"required, foreign", certs.Require, file, &foreign, false, "", false},
		{"required, for servers", certs.Require, file, &forServers, false, "", false},
		{"required, public", certs.Require, file, &public, false, "", false},
		{"required, expired", certs.Require, file, &old, false, "", false},
	} {
		server := newServer(t, shelf, certs.Server{Certificates: []certs.Pair{pair}, Clients: c.clients, ClientCA: c.ca})
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			client := anyServer("mx.example.org")
			if c.show != nil {
				client = showing(t, *c.show)
			}
			client.MaxVersion = version
			m := handshake(server.Config(), client)
			if m.ok() != c.ok {
				t.Errorf("%s: %v, %v", c.what, m.serverErr, m.clientErr)
			}
			if facts := server.Facts(m.server); facts.Client != c.cn || facts.Verified != c.verified {
				t.Errorf("%s: client %q, verified %v; want %q, %v", c.what, facts.Client, facts.Verified, c.cn, c.verified)
			}
		}
	}
}

// TestResumption holds that a resumed session has the same facts, and that none
// is resumed where its client would be refused.
func TestResumption(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		synctest.Test(t, func(t *testing.T) { testResumption(t, version) })
	}
}

func testResumption(t *testing.T, version uint16) {
	dir := t.TempDir()
	ca, other := newAuthority(t, "ca"), newAuthority(t, "other")
	pair := ca.issue(t, leaf{names: []string{"mx.example.org"}}).files(t, dir, "mx")
	file := ca.file(t, dir, "ca.pem")
	shelf, _ := newShelf(t)
	open := newServer(t, shelf, certs.Server{Certificates: []certs.Pair{pair}})
	request := newServer(t, shelf, certs.Server{Certificates: []certs.Pair{pair}, Clients: certs.Request, ClientCA: file})
	require := newServer(t, shelf, certs.Server{Certificates: []certs.Pair{pair}, Clients: certs.Require, ClientCA: file})

	client := showing(t, ca.issue(t, leaf{cn: "ours"}))
	client.MaxVersion = version
	client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	visit := func(what string, server *certs.ServerConfig, ok, resumed, verified bool) {
		t.Helper()
		m := handshake(server.Config(), client)
		if m.ok() != ok || m.server.DidResume != resumed || server.Facts(m.server).Verified != verified {
			t.Errorf("%s: %v, %v; resumed %v, facts %+v", what, m.serverErr, m.clientErr, m.server.DidResume, server.Facts(m.server))
		}
	}
	visit("first", require, true, false, true)
	visit("again", require, true, true, true)
	visit("elsewhere", request, true, false, true)
	visit("again elsewhere", request, true, true, true)
	visit("where nobody asks", open, true, false, false)
	visit("again where nobody asks", open, true, true, false)
	visit("back", require, true, false, true)

	write(t, file, other.pem(), 0o644)
	time.Sleep(twoLooks)
	synctest.Wait()
	visit("when not trusted any more", require, false, false, false)
	client.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	visit("elsewhere then", request, true, false, false)
	visit("again elsewhere then", request, true, true, false)
	ca.file(t, dir, "ca.pem")
	time.Sleep(twoLooks)
	synctest.Wait()
	visit("when trusted again", require, true, false, true)
}

// TestMinVersion holds that the least version is kept to.
func TestMinVersion(t *testing.T) {
	ca := newAuthority(t, "ca")
	pair := ca.issue(t, leaf{cn: "a"}).files(t, t.TempDir(), "mx")
	shelf, _ := newShelf(t)
	for _, least := range []uint16{0, tls.VersionTLS10, tls.VersionTLS12, tls.VersionTLS13} {
		server := newServer(t, shelf, certs.Server{Certificates: []certs.Pair{pair}, MinVersion: least})
		client := newClient(t, shelf, certs.Client{MinVersion: least})
		for version := uint16(tls.VersionTLS10); version <= tls.VersionTLS13; version++ {
			want := version >= max(least, tls.VersionTLS12) || least != 0 && version >= least
			peer := anyServer("")
			peer.MinVersion, peer.MaxVersion = version, version
			if m := handshake(server.Config(), peer); m.ok() != want {
				t.Errorf("a listener from %x: %s: %v", least, tls.VersionName(version), m.serverErr)
			}
			upstream := server.Config().Clone()
			upstream.MinVersion, upstream.MaxVersion = version, version
			if m := handshake(upstream, client.Config("mx")); m.ok() != want {
				t.Errorf("to an upstream from %x: %s: %v", least, tls.VersionName(version), m.clientErr)
			}
		}
	}
}

// TestAfterClose holds that sessions can go on with what was given back.
func TestAfterClose(t *testing.T) {
	ca := newAuthority(t, "ca")
	pair := ca.issue(t, leaf{cn: "a"}).files(t, t.TempDir(), "mx")
	shelf, _ := newShelf(t)
	server := newServer(t, shelf, certs.Server{Certificates: []certs.Pair{pair}})
	client := newClient(t, shelf, certs.Client{})
	server.Close()
	client.Close()
	shelf.Close()
	if m := handshake(server.Config(), client.Config("mx")); !m.ok() {
		t.Errorf("%v, %v", m.serverErr, m.clientErr)
	}
}
