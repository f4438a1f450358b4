package helo_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/filtertest"
	"github.com/mailweir/mailweir/filters/helo"
)

const (
	syntax   = "501 5.5.4 helo_syntax"
	notFQDN  = "550 5.7.1 helo_not_fqdn"
	bare     = "550 5.7.1 helo_bare_address"
	mismatch = "550 5.7.1 helo_literal_mismatch"
	ownName  = "550 5.7.1 helo_own_name"
	client4  = "192.0.2.1"
	client6  = "2001:db8::1"
)

func newFilter(t *testing.T, options string) filters.HeloFilter {
	env, _ := filtertest.Env("")
	return filtertest.New[filters.HeloFilter](t, env, helo.Kind, options)
}

func ask(f filters.HeloFilter, client, name string) string {
	s := filtertest.Session(client)
	s.Helo, s.ESMTP = name, true
	return filtertest.Show(f.Helo(context.Background(), s))
}

func TestDefaults(t *testing.T) {
	f := newFilter(t, "")
	for _, c := range []struct{ client, name, want string }{
		{client4, "mail.example.com", "continue"},
		{client4, "mail.example.com.", "continue"},
		{client4, "my_host.example.com", "continue"},
		{client4, "xn--exmple-cua.org", "continue"},
		{client4, "[192.0.2.1]", "continue"},
		{"::ffff:192.0.2.1", "[192.0.2.1]", "continue"},
		{client4, "[IPv6:::ffff:192.0.2.1]", "continue"},
		{client6, "[IPv6:2001:db8::1]", "continue"},
		{client6, "[ipv6:2001:DB8:0::1]", "continue"},

		{client4, "", syntax},
		{client4, ".", syntax},
		{client4, "exämple.org", syntax},
		{client4, "mail..example.com", syntax},
		{client4, "-mail.example.com", syntax},
		{client4, "{hostname}", syntax},
		{client4, "user@example.com", syntax},
		{client4, strings.Repeat("a", 64) + ".example.com", syntax},
		{client4, strings.Repeat("a.", 127) + "aa", syntax},
		{client4, "[192.0.2.1", syntax},
		{client4, "[192.0.2.300]", syntax},
		{client4, "[IPv6:192.0.2.1]", syntax},
		{client6, "[2001:db8::1]", syntax},
		{client6, "[IPv6:fe80::1%eth0]", syntax},
		{client4, "[X400:whatever]", syntax},
		{client4, "[]", syntax},
		{client4, "a:b", syntax},

		{client4, "localhost", notFQDN},
		{client4, "WIN-5AVB21", notFQDN},
		{client4, "com.", notFQDN},
		{client4, client4, bare},
		{client6, client6, bare},
		{client4, "198.51.100.9", bare},
		{client4, "[198.51.100.9]", mismatch},
		{client4, "[10.0.0.1]", mismatch},
		{client6, "[IPv6:2001:db8::2]", mismatch},

		{client4, "mx.example.org", ownName},
		{client4, "MX.Example.org.", ownName},
		{client4, "[203.0.113.25]", ownName},
		{client4, "203.0.113.25", ownName},
		{client4, "other.example.org", "continue"},

		{"127.0.0.1", "{hostname}", "continue"},
		{"::1", "mx.example.org", "continue"},
		{"203.0.113.25", "mx.example.org", "continue"},
		{"203.0.113.25", "[203.0.113.25]", "continue"},
	} {
		if got := ask(f, c.client, c.name); got != c.want {
			t.Errorf("%s greets as %q: %s, want %s", c.client, c.name, got, c.want)
		}
	}
}

func TestSwitches(t *testing.T) {
	for _, c := range []struct{ options, client, name, want string }{
		{"syntax: false", client4, "{hostname}", "continue"},
		{"allow_underscore: false", client4, "my_host.example.com", syntax},
		{"fqdn: false", client4, "localhost", "continue"},
		{"bare_address: false", client4, client4, "continue"},
		{"bare_address: false", client6, client6, "continue"},
		{"literal: false", client4, "[10.0.0.1]", "continue"},
		{"own_name: false", client4, "mx.example.org", "continue"},
		{"own_names: [.example.com]", client4, "mail.example.com", ownName},
		{"own_names: [.example.com]", client4, "Example.com", ownName},
		{"own_names: [example.com]", client4, "mail.example.com", "continue"},
		{"exempt: [192.0.2.0/24]", client4, "{hostname}", "continue"},
		{"exempt: []", "127.0.0.1", "localhost", notFQDN},
		{"exempt: []", "127.0.0.1", "mx.example.org", "continue"},
	} {
		if got := ask(newFilter(t, c.options), c.client, c.name); got != c.want {
			t.Errorf("{%s} %s greets as %q: %s, want %s", c.options, c.client, c.name, got, c.want)
		}
	}
}

func TestHeloAfterEHLO(t *testing.T) {
	for _, c := range []struct {
		options        string
		esmtp, hadEHLO bool
		want           string
	}{
		{"helo_after_ehlo: true", false, true, "550 5.7.1 helo_after_ehlo"},
		{"helo_after_ehlo: true", true, true, "continue"},
		{"helo_after_ehlo: true", false, false, "continue"},
		{"", false, true, "continue"},
	} {
		s := filtertest.Session(client4)
		s.Helo, s.ESMTP, s.HadEHLO = "mail.example.com", c.esmtp, c.hadEHLO
		if got := filtertest.Show(newFilter(t, c.options).Helo(context.Background(), s)); got != c.want {
			t.Errorf("{%s} ESMTP %v after EHLO %v: %s, want %s", c.options, c.esmtp, c.hadEHLO, got, c.want)
		}
	}
}

func TestClientWithoutAddress(t *testing.T) {
	f := newFilter(t, "")
	for _, name := range []string{"[10.0.0.1]", "mx.example.org"} {
		s := filtertest.Session(client4)
		s.Client, s.Helo = netip.AddrPort{}, name
		if got := filtertest.Show(f.Helo(context.Background(), s)); got != "continue" {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestTextIsSafe(t *testing.T) {
	s := filtertest.Session(client4)
	s.Helo = "ä\x00\r\n" + strings.Repeat("x", 1000)
	text := newFilter(t, "").Helo(context.Background(), s).Finding.Reply.Text
	if len(text) > 200 {
		t.Errorf("text of %d octets", len(text))
	}
	for _, c := range []byte(text) {
		if c < ' ' || c > '~' {
			t.Errorf("octet %#x in text %q", c, text)
		}
	}
}

func TestHeloDoesNotAllocate(t *testing.T) {
	f := newFilter(t, "{own_names: [.example.net], helo_after_ehlo: true}")
	s := filtertest.Session(client4)
	n := testing.AllocsPerRun(100, func() {
		for _, name := range []string{"Mail.Example.com", "192-0-2-1.example", "[192.0.2.1]"} {
			s.Helo = name
			if v := f.Helo(context.Background(), s); v != (filters.Verdict{}) {
				t.Fatal(filtertest.Show(v))
			}
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}
