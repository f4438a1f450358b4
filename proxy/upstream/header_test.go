package upstream_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/certs"
	"github.com/mailweir/mailweir/proxy/haproxy"
	"github.com/mailweir/mailweir/proxy/internal/peer"
	"github.com/mailweir/mailweir/proxy/upstream"
)

// v1 is the header of theClient.
const v1 = "PROXY TCP4 192.0.2.7 198.51.100.25 4711 25"

func TestProxyV1(t *testing.T) {
	addr := play(t, func(m *mta) {
		m.hear(v1)
		m.say("220-mx.example", "220 hello")
		m.answer("EHLO relay.example", "250-mx.example", "250 STARTTLS")
		m.answer("QUIT", "221 bye")
	})
	behind(t, addr, upstream.Options{Identity: upstream.PROXY, ProxyVersion: 1}).opens(t, theClient())
}

// takes reads a header.
func (m *mta) takes() haproxy.Header {
	m.t.Helper()
	h, err := haproxy.Read(m.in)
	if err != nil {
		m.t.Error(err)
	}
	return h
}

// The header is the first that a server hears, before TLS too; and all that is
// known of the client is in it.
func TestProxyV2(t *testing.T) {
	ca := peer.NewAuthority(t)
	good := ca.Server(t, "127.0.0.1")
	client := theClient()
	client.TLS = filters.TLS{Version: "TLSv1.3", Cipher: "TLS_AES_128_GCM_SHA256", ServerName: "mx.example", Client: "someone", Verified: true}
	told := client.TLS
	told.ServerName = ""
	want := haproxy.Header{Source: client.Client, Dest: client.Local, TLS: &told, ServerName: "mx.example", UniqueID: client.ID}
	for _, c := range []struct {
		mode   upstream.TLSMode
		script func(*mta)
	}{
		{upstream.NoTLS, func(m *mta) {
			m.say("220 mx.example")
			m.answer("EHLO relay.example", "250 mx.example")
		}},
		{upstream.ImplicitTLS, func(m *mta) {
			if err := m.secure(shown(good)); err != nil {
				m.t.Error(err)
			}
			m.say("220 mx.example")
			m.answer("EHLO relay.example", "250 mx.example")
		}},
		{upstream.RequireTLS, func(m *mta) {
			if err := m.startsTLS(shown(good)); err != nil {
				m.t.Error(err)
			}
		}},
	} {
		addr := play(t, func(m *mta) {
			h := m.takes()
			if diff := cmp.Diff(want, h, cmp.Comparer(sameHeader)); diff != "" {
				m.t.Errorf("mode %d: %s", c.mode, diff)
			}
			c.script(m)
			m.answer("QUIT", "221 bye")
		})
		behind(t, addr, upstream.Options{
			Identity: upstream.PROXY, ProxyVersion: 2,
			TLS: c.mode, TLSConfig: trusting(t, certs.Client{CA: ca.File, Verify: true}),
		}).opens(t, client)
	}
}

func sameHeader(x, y haproxy.Header) bool {
	if (x.TLS == nil) != (y.TLS == nil) {
		return false
	}
	if x.TLS != nil {
		a, b := *x.TLS, *y.TLS
		a.ServerName, b.ServerName = "", ""
		if a != b {
			return false
		}
	}
	x.TLS, y.TLS = nil, nil
	return x == y
}

// What a server does that does not take the header, and what one does that
// refuses the client of whom it has heard.
func TestProxyRefused(t *testing.T) {
	says := func(lines ...string) func(*mta) {
		return func(m *mta) {
			m.hear(v1)
			m.say(lines...)
			m.line() // whatever is said then
		}
	}
	for _, c := range []struct {
		name              string
		script            func(*mta)
		identity, refused bool
		words             string
	}{
		{"greets at once, then does not know the command", func(m *mta) {
			m.say("220 mx.example")
			m.answer(v1, "500 5.5.2 what")
			m.line()
			io.WriteString(m.conn, "250 mx.example\r\n") // if it is still there
		}, true, false, "set smtpd_upstream_proxy_protocol = haproxy in Postfix"},
		{"greets twice", says("220 mx.example", "220 mx.example"), true, false, "said more than its greeting"},
		{"Postfix that waits for another header", says("421 4.3.0 mx.example Server local error"), true, false, "answered the header with 421 4.3.0"},
		{"Exim that does so", says("503 Command refused, required Proxy negotiation failed"), true, false, "set hosts_proxy = 127.0.0.1 in Exim"},
		{"closes", func(m *mta) { m.hear(v1) }, true, false, "did not greet: EOF"},
		{"EHLO answered with 500", func(m *mta) {
			m.hear(v1)
			m.say("220 mx.example")
			m.answer("EHLO relay.example", "500 what")
		}, true, false, "answered EHLO with 500 what"},
		{"EHLO answered by a close", func(m *mta) {
			m.hear(v1)
			m.say("220 mx.example")
			m.hear("EHLO relay.example")
		}, true, false, "gave up: EOF"},
		{"EHLO answered twice", func(m *mta) {
			m.hear(v1)
			m.say("220 mx.example")
			m.answer("EHLO relay.example", "250 mx.example", "500 what")
		}, true, false, "said what nobody asked for"},
		{"the client is not welcome", says("554 5.7.1 blocked"), false, true, "refuses the client: 554 5.7.1 blocked"},
		{"the client is not welcome now", says("421 4.7.0 too many connections"), false, true, "refuses the client: 421 4.7.0"},
		{"the client is not welcome yet", says("450 come again"), false, true, "refuses the client: 450 come again"},
		{"no greeting at all", says("354 go on"), false, false, "greeting 354 go on"},
		{"another success", says("250 5.7.0 ok"), false, false, "greeting 250 5.7.0 ok"},
	} {
		t.Run(c.name, func(t *testing.T) {
			addr := play(t, c.script)
			err := behind(t, addr, upstream.Options{Identity: upstream.PROXY, ProxyVersion: 1}).fails(t, theClient(), c.words)
			if errors.As(err, new(*upstream.IdentityError)) != c.identity {
				t.Errorf("an IdentityError: %v: %v", !c.identity, err)
			}
			if errors.As(err, new(*upstream.RefusedError)) != c.refused {
				t.Errorf("a RefusedError: %v: %v", !c.refused, err)
			}
		})
	}
}

// Without an identity a refusal is about us.
func TestGreetingRefused(t *testing.T) {
	for greeting, words := range map[string]string{
		"554 5.7.1 no":                   "greeting 554 5.7.1 no",
		"421 busy":                       "greeting 421 busy",
		"250 mx.example":                 "greeting 250 mx.example",
		"220 one\r\n220 two":             "behind the greeting: octets that nobody asked for",
		"220-one":                        "no greeting: unexpected EOF",
		"":                               "no greeting: malformed reply",
		"554-one\r\n554 two\x07\x1b[31m": "greeting 554 one / two??[31m",
	} {
		addr := play(t, func(m *mta) { m.say(greeting) })
		err := behind(t, addr, upstream.Options{}).fails(t, theClient(), words)
		if errors.As(err, new(*upstream.RefusedError)) || errors.As(err, new(*upstream.IdentityError)) {
			t.Error(err)
		}
	}
}

// A server that sees the client's own address may refuse that client; only a
// refusal is for the client to hear.
func TestTransparentRefused(t *testing.T) {
	for greeting, refused := range map[string]bool{
		"554 5.7.1 blocked":              true,
		"450 come again":                 true,
		"421 4.7.0 too many connections": true,
		"421 4.3.2 shutting down":        false,
		"250 ok":                         false,
		"354 go on":                      false,
	} {
		addr := play(t, func(m *mta) { m.say(greeting) })
		s := behind(t, addr, upstream.Options{Identity: upstream.Transparent})
		s.fleet.SetDialFrom(func(ctx context.Context, _ netip.Addr, network, address string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		})
		if err := s.fails(t, theClient(), greeting); errors.As(err, new(*upstream.RefusedError)) != refused {
			t.Errorf("a RefusedError: %v: %v", !refused, err)
		}
	}
}
