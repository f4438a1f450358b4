package configs_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mailweir/mailweir/configs"
)

const grouped = `upstreams:
  - name: inbound
    servers:
      - {address: "mx1.example:25", weight: 3}
      - {address: "srv:_smtp._tcp.example.org"}
    balance: least_sessions
    identity: xforward
    tls: {mode: required, key: us.key, certificate: us.pem, fingerprints: ["` + pinned + `"], min_version: 1.3}
    reuse: true
  - {name: lists, address: "unix:/run/lmtp", protocol: lmtp, client_name: false}
listeners:
  - {name: mta, address: "inet:127.0.0.1:8891", mode: milter}
  - name: mx
    address: ":25"
    upstream: inbound
    routes:
      - {domains: [Lists.Example.org, .example.net], upstream: lists}
      - {domains: [.größe.example], upstream: {address: "mx:example.org", max_connections: 7}}
    tls: {certificates: [{certificate: mx.pem, key: mx.key}], min_version: "1.2", client_certificates: request, client_ca: ca.pem}
    proxy_protocol_from: [192.0.2.0/24]
    timeouts: {tls_handshake: 1s, upstream: {tls_handshake: 2s}}
  - {name: "out put", address: ":587", upstream: {address: "127.0.0.1:10587", identity: proxy, proxy_version: 1}}
`

const pinned = "00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF"

func parseText(t *testing.T, text string) *configs.Config {
	t.Helper()
	c, err := configs.Parse(allKinds(), "dir/mx.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestGroups holds each reference to have the settings of its group, and each
// group in use to be there once.
func TestGroups(t *testing.T) {
	c := parseText(t, grouped)
	var names []string
	for _, g := range c.Groups() {
		names = append(names, g.Name)
	}
	want := []string{"inbound", "lists", "listener mx route .xn--gre-6ka8i.example", `listener "out put"`}
	if !slices.Equal(names, want) {
		t.Errorf("groups %q, want %q", names, want)
	}
	mx := c.Listeners[1]
	if diff := cmp.Diff(c.Upstreams[0].Group, mx.Upstream.Group); diff != "" || !mx.Upstream.Called {
		t.Error("the listener's group: ", diff)
	}
	if diff := cmp.Diff(c.Upstreams[1].Group, mx.Routes[0].Upstream.Group); diff != "" {
		t.Error("the route's group: ", diff)
	}
	if want := []configs.Domain{"lists.example.org", ".example.net"}; !slices.Equal(mx.Routes[0].Domains, want) {
		t.Errorf("domains %q", mx.Routes[0].Domains)
	}
	own := mx.Routes[1].Upstream
	if own.Called || own.MaxConnections != 7 || own.Identity != configs.NoIdentity {
		t.Errorf("the group of its own: %+v", own)
	}
	if c.Warnings != nil {
		t.Errorf("%q", c.Warnings)
	}
}

// TestUpstreamSettings checks what becomes of the settings of a group and of a
// listener's TLS.
func TestUpstreamSettings(t *testing.T) {
	c := parseText(t, grouped)
	var defaults configs.Group
	defaults.SetDefaults()
	want := defaults
	want.Servers = []configs.Server{
		{Address: configs.ServerAddress{Host: "mx1.example", Port: 25}, Weight: 3},
		{Address: configs.ServerAddress{Kind: configs.BySRV, Host: "_smtp._tcp.example.org"}, Weight: 1},
	}
	want.Balance, want.Identity, want.Reuse = configs.LeastSessions, configs.XFORWARD, true
	want.TLS.Mode, want.TLS.Certificate, want.TLS.Key, want.TLS.MinVersion = configs.RequireTLS, "us.pem", "us.key", "1.3"
	want.TLS.Fingerprints = []configs.Fingerprint{"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"}
	if diff := cmp.Diff(want, c.Upstreams[0].Group); diff != "" {
		t.Error(diff)
	}
	want = defaults
	want.Servers = []configs.Server{{Address: configs.ServerAddress{Kind: configs.AtSocket, Path: "/run/lmtp"}, Weight: 1}}
	want.Protocol, want.ClientName = configs.LMTP, false
	if diff := cmp.Diff(want, c.Upstreams[1].Group); diff != "" {
		t.Error(diff)
	}
	l := c.Listeners[1]
	if v := l.TLS.MinVersion.Number(); v != 0x0303 {
		t.Errorf("version %#x", v)
	}
	if want := (configs.Certificate{Certificate: "mx.pem", Key: "mx.key"}); len(l.TLS.Certificates) != 1 || l.TLS.Certificates[0] != want {
		t.Errorf("certificates %+v", l.TLS.Certificates)
	}
	if l.Timeouts.Handshake != time.Second || l.Timeouts.Upstream.Handshake != 2*time.Second || l.Timeouts.ProxyHeader != 5*time.Second {
		t.Errorf("timeouts %+v", l.Timeouts)
	}
	if l.ProxyProtocolFrom[0].String() != "192.0.2.0/24" || l.Auth != (configs.Auth{MaxFailures: 10, Window: 10 * time.Minute}) {
		t.Errorf("%+v", l)
	}
}

func TestServerAddress(t *testing.T) {
	for text, want := range map[string]configs.ServerAddress{
		"mx1.example:25":             {Host: "mx1.example", Port: 25},
		"192.0.2.1:10025":            {Host: "192.0.2.1", Port: 10025},
		"[2001:db8::1]:25":           {Host: "2001:db8::1", Port: 25},
		"[fe80::1%eth0]:25":          {Host: "fe80::1%eth0", Port: 25},
		"mx:25":                      {Host: "mx", Port: 25},
		"unix:25":                    {Host: "unix", Port: 25},
		"unix:/run/lmtp":             {Kind: configs.AtSocket, Path: "/run/lmtp"},
		"srv:_smtp._tcp.example.org": {Kind: configs.BySRV, Host: "_smtp._tcp.example.org"},
		"mx:example.org":             {Kind: configs.ByMX, Host: "example.org", Port: 25},
		"mx:example.org:2525":        {Kind: configs.ByMX, Host: "example.org", Port: 2525},
	} {
		got, err := configs.ParseServerAddress(text)
		if err != nil || got != want {
			t.Errorf("%s reads as %+v, error %v; want %+v", text, got, err, want)
		}
		if got.String() != text {
			t.Errorf("%s is spelt %s", text, got)
		}
	}
	if s := (configs.ServerAddress{}).String(); s != "" {
		t.Errorf("none is spelt %q", s)
	}
}

// FuzzServerAddress holds an address to be read again as it is spelt, and to be
// fit for a log.
func FuzzServerAddress(f *testing.F) {
	for _, s := range []string{"mx1.example:25", "[::1]:25", "unix:/run/lmtp", "srv:_smtp._tcp.example.org", "mx:example.org", "mx:a:1", "mx:1", ":25", "mx:a:\n1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := configs.ParseServerAddress(text)
		if err != nil {
			return
		}
		again, err := configs.ParseServerAddress(a.String())
		if err != nil || again != a {
			t.Errorf("%q is spelt %q, which reads as %+v, error %v", text, a, again, err)
		}
		for _, c := range a.Host + a.Path {
			if c < ' ' || c == 0x7f {
				t.Errorf("%q lets %q pass", text, c)
			}
		}
	})
}
