package upstream_test

import (
	"crypto/tls"
	"errors"
	"strings"
	"testing"

	"github.com/mailweir/mailweir/proxy/certs"
	"github.com/mailweir/mailweir/proxy/internal/peer"
	"github.com/mailweir/mailweir/proxy/upstream"
)

// shown is how a server shows a certificate.
func shown(c *peer.Certificate) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{c.X509}}
}

// startsTLS plays an upstream up to the end of the handshake.
func (m *mta) startsTLS(config *tls.Config) error {
	m.t.Helper()
	m.say("220 mx.example")
	m.answer("EHLO relay.example", "250-mx.example", "250-STARTTLS", "250 PIPELINING")
	m.answer("STARTTLS", "220 go ahead")
	return m.secure(config)
}

// asks says the client's greeting and reads the reply.
func asks(t *testing.T, c *upstream.Conn) string {
	t.Helper()
	c.Line([]byte("EHLO client.example"))
	if err := c.Flush(patient.Other); err != nil {
		t.Fatal(err)
	}
	r, err := c.Reply(patient.Other)
	if err != nil {
		t.Fatal(err)
	}
	return string(r.Wire)
}

func TestTLS(t *testing.T) {
	ca := peer.NewAuthority(t)
	good := ca.Server(t, "127.0.0.1")
	starts := func(m *mta) {
		if err := m.startsTLS(shown(good)); err != nil {
			m.t.Error(err)
		}
	}
	for _, c := range []struct {
		name    string
		mode    upstream.TLSMode
		script  func(*mta)
		greeted string
	}{
		{"required", upstream.RequireTLS, starts, "250 in TLS"},
		{"opportunistic", upstream.Opportunistic, starts, "250 in TLS"},
		{"implicit", upstream.ImplicitTLS, func(m *mta) {
			if err := m.secure(shown(good)); err != nil {
				m.t.Error(err)
			}
			m.say("220 mx.example")
		}, "250 in TLS"},
		{"opportunistic, not offered", upstream.Opportunistic, func(m *mta) {
			m.say("220-mx.example", "220 is mine")
			m.answer("EHLO relay.example", "250-mx.example STARTTLS", "250 NOSTARTTLS")
		}, "250 in clear"},
		{"opportunistic, no EHLO", upstream.Opportunistic, func(m *mta) {
			m.say("220 mx.example")
			m.answer("EHLO relay.example", "502 what")
		}, "250 in clear"},
		{"none", upstream.NoTLS, func(m *mta) { m.say("220 mx.example") }, "250 in clear"},
	} {
		t.Run(c.name, func(t *testing.T) {
			addr := play(t, func(m *mta) {
				c.script(m)
				state := "in clear"
				if _, ok := m.conn.(*tls.Conn); ok {
					state = "in TLS"
				}
				m.answer("EHLO client.example", "250 "+state)
				m.answer("QUIT", "221 bye")
			})
			s := behind(t, addr, upstream.Options{TLS: c.mode, TLSConfig: trusting(t, certs.Client{CA: ca.File, Verify: true})})
			conn, err := s.open(t, theClient())
			if err != nil {
				t.Fatal(err)
			}
			if got := asks(t, conn); got != c.greeted+"\r\n" {
				t.Errorf("%q, want %q", got, c.greeted)
			}
			conn.Quit()
			if log := s.log.Take(); log != "" {
				t.Errorf("the log has %s", log)
			}
		})
	}
}

// LMTP servers are greeted with LHLO.
func TestTLSOfLMTP(t *testing.T) {
	ca := peer.NewAuthority(t)
	good := ca.Server(t, "127.0.0.1")
	addr := play(t, func(m *mta) {
		m.say("220 mx.example")
		m.answer("LHLO relay.example", "250-mx.example", "250 STARTTLS")
		m.answer("STARTTLS", "220 go ahead")
		if err := m.secure(shown(good)); err != nil {
			m.t.Error(err)
		}
		m.answer("LHLO relay.example", "250-mx.example", "250 XCLIENT ADDR")
		m.answer("XCLIENT ADDR=192.0.2.7", "220 mx.example")
		m.answer("QUIT", "221 bye")
	})
	behind(t, addr, upstream.Options{
		LMTP: true, Identity: upstream.XCLIENT,
		TLS: upstream.RequireTLS, TLSConfig: trusting(t, certs.Client{CA: ca.File, Verify: true}),
	}).opens(t, theClient())
}

func TestCertificates(t *testing.T) {
	ca, other := peer.NewAuthority(t), peer.NewAuthority(t)
	good, named := ca.Server(t, "127.0.0.1"), ca.Server(t, "mx.example")
	expired, stranger := ca.Issue(t, peer.Expired("127.0.0.1")), other.Server(t, "127.0.0.1")
	for _, c := range []struct {
		name  string
		shows *peer.Certificate
		want  certs.Client
		fails string // words of the error, "" for none
	}{
		{"good", good, certs.Client{CA: ca.File, Verify: true}, ""},
		{"expired", expired, certs.Client{CA: ca.File, Verify: true}, "TLS handshake: the certificate of 127.0.0.1 is not trusted: x509: certificate has expired"},
		{"another name", named, certs.Client{CA: ca.File, Verify: true}, "doesn't contain any IP SANs"},
		{"another name that is set", named, certs.Client{CA: ca.File, Verify: true, Name: "mx.example"}, ""},
		{"a stranger", stranger, certs.Client{CA: ca.File, Verify: true}, "signed by unknown authority"},
		{"a stranger, unverified", stranger, certs.Client{}, ""},
		{"a fingerprint", stranger, certs.Client{Fingerprints: []string{stranger.Fingerprint()}}, ""},
		{"another fingerprint", good, certs.Client{CA: ca.File, Verify: true, Fingerprints: []string{stranger.Fingerprint()}}, "it is none of those in fingerprints"},
	} {
		t.Run(c.name, func(t *testing.T) {
			addr := play(t, func(m *mta) {
				m.startsTLS(shown(c.shows))
				if c.fails == "" {
					m.answer("QUIT", "221 bye")
				}
			})
			s := behind(t, addr, upstream.Options{TLS: upstream.RequireTLS, TLSConfig: trusting(t, c.want)})
			if c.fails == "" {
				s.opens(t, theClient())
				return
			}
			s.fails(t, theClient(), c.fails)
		})
	}
}

// tlsFailures are what goes wrong with TLS that must be.
var tlsFailures = []struct {
	name   string
	mode   upstream.TLSMode
	script func(*mta)
	words  string
}{
	{"not offered", upstream.RequireTLS, func(m *mta) {
		m.say("220 mx.example")
		m.answer("EHLO relay.example", "250-mx.example", "250 PIPELINING")
	}, "it does not offer STARTTLS: give it a certificate"},
	{"no EHLO", upstream.RequireTLS, func(m *mta) {
		m.say("220 mx.example")
		m.answer("EHLO relay.example", "502 5.5.1 no")
	}, "reply to EHLO: 502 5.5.1 no"},
	{"EHLO fails", upstream.Opportunistic, func(m *mta) {
		m.say("220 mx.example")
		m.answer("EHLO relay.example", "421 4.3.2 no")
	}, "reply to EHLO: 421 4.3.2 no"},
	{"refused", upstream.RequireTLS, func(m *mta) {
		m.say("220 mx.example")
		m.answer("EHLO relay.example", "250-mx.example", "250 STARTTLS")
		m.answer("STARTTLS", "454 4.7.0 TLS not available due to local problem")
	}, "reply to STARTTLS: 454 4.7.0 TLS not available"},
	{"no handshake", upstream.RequireTLS, func(m *mta) {
		m.say("220 mx.example")
		m.answer("EHLO relay.example", "250-mx.example", "250 STARTTLS")
		m.answer("STARTTLS", "220 go ahead")
	}, "TLS handshake: "},
	{"no TLS after all", upstream.RequireTLS, func(m *mta) {
		m.say("220 mx.example")
		m.answer("EHLO relay.example", "250-mx.example", "250 STARTTLS")
		m.answer("STARTTLS", "220 go ahead")
		m.in.Peek(1)
		m.say("500 what is that")
	}, "TLS handshake: tls: first record does not look like a TLS handshake"},
	{"implicit, but it speaks at first", upstream.ImplicitTLS, func(m *mta) { m.say("220 mx.example") },
		"it speaks in clear at first, set tls.mode to required"},
}

func TestTLSFails(t *testing.T) {
	ca := peer.NewAuthority(t)
	for _, c := range tlsFailures {
		t.Run(c.name, func(t *testing.T) {
			addr := play(t, c.script)
			s := behind(t, addr, upstream.Options{TLS: c.mode, TLSConfig: trusting(t, certs.Client{CA: ca.File, Verify: true})})
			s.fails(t, theClient(), c.words)
		})
	}
}

// What comes with the reply to STARTTLS must not be taken for what is said
// within TLS (CVE-2021-38371); nor does the session go on in clear.
func TestTLSInjection(t *testing.T) {
	ca := peer.NewAuthority(t)
	for _, mode := range []upstream.TLSMode{upstream.RequireTLS, upstream.Opportunistic} {
		for _, more := range []string{"250-mx.example\r\n250 AUTH PLAIN", "2", "\x16\x03\x03"} {
			addr := play(t, func(m *mta) {
				if m.n > 0 {
					m.t.Error("there is another connection")
				}
				m.say("220 mx.example")
				m.answer("EHLO relay.example", "250-mx.example", "250 STARTTLS")
				m.answer("STARTTLS", "220 go ahead", more)
				m.over()
			})
			s := behind(t, addr, upstream.Options{TLS: mode, TLSConfig: trusting(t, certs.Client{CA: ca.File, Verify: true})})
			if err := s.fails(t, theClient(), "someone in between"); !errors.Is(err, upstream.ErrStray) {
				t.Error(err)
			}
		}
	}
}

// Opportunistic TLS that fails is no TLS: on a connection of its own, and the
// log says so once.
func TestTLSFallsBack(t *testing.T) {
	ca := peer.NewAuthority(t)
	good, stranger := ca.Server(t, "127.0.0.1"), peer.NewAuthority(t).Server(t, "127.0.0.1")
	works := func(m *mta) { m.startsTLS(shown(good)) }
	for name, broken := range map[string]func(*mta){
		"refused": func(m *mta) {
			m.say("220 mx.example")
			m.answer("EHLO relay.example", "250-mx.example", "250 STARTTLS")
			m.answer("STARTTLS", "454 4.7.0 not now")
			m.over()
		},
		"certificate": func(m *mta) {
			if m.startsTLS(shown(stranger)) == nil {
				m.over()
			}
		},
		"cut": func(m *mta) {
			m.say("220 mx.example")
			m.answer("EHLO relay.example", "250-mx.example", "250 STARTTLS")
			m.hear("STARTTLS")
		},
	} {
		t.Run(name, func(t *testing.T) {
			clear := func(m *mta) { m.say("220 mx.example in clear") }
			scripts := []func(*mta){broken, clear, broken, clear, works, broken, clear}
			addr := play(t, func(m *mta) {
				scripts[m.n](m)
				if m.n != 0 && m.n != 2 && m.n != 5 {
					m.answer("QUIT", "221 bye")
				}
			})
			s := behind(t, addr, upstream.Options{TLS: upstream.Opportunistic, TLSConfig: trusting(t, certs.Client{CA: ca.File, Verify: true})})
			for i, want := range []int{1, 0, 0, 1} {
				s.opens(t, theClient())
				log := s.log.Take()
				if got := strings.Count(log, "no TLS with the upstream"); got != want || strings.Count(log, "level=") != want {
					t.Errorf("session %d: %d warnings: %s", i, got, log)
				}
			}
		})
	}
}
