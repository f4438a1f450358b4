package haproxy_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/haproxy"
)

func TestAppend(t *testing.T) {
	v4 := haproxy.Header{Source: from4, Dest: to4}
	for _, c := range []struct {
		version int
		h       haproxy.Header
		want    string
	}{
		{1, v4, line4},
		{1, haproxy.Header{Source: from6, Dest: to6}, "PROXY TCP6 2001:db8::7 2001:db8::25 4711 25\r\n"},
		{1, haproxy.Header{Source: from4, Dest: to6}, "PROXY TCP6 ::ffff:198.51.100.7 2001:db8::25 4711 25\r\n"},
		{1, haproxy.Header{Source: mapAddr(from4), Dest: mapAddr(to4)}, line4},
		{1, haproxy.Header{Source: netip.MustParseAddrPort("[fe80::7%eth0]:1"), Dest: to6}, "PROXY TCP6 fe80::7 2001:db8::25 1 25\r\n"},
		{1, haproxy.Header{Source: from4, Dest: to4, UniqueID: "id", TLS: &filters.TLS{Cipher: suite}}, line4},
		{1, local, "PROXY UNKNOWN\r\n"},
		{2, v4, proxied()},
		{2, haproxy.Header{Source: from6, Dest: to6}, block(0x21, 0x21, addr6)},
		{2, haproxy.Header{Source: mapAddr(from4), Dest: mapAddr(to4)}, proxied()},
		{2, haproxy.Header{Source: from4, Dest: to6}, block(0x21, 0x21, mapped[:16], addr6[16:])},
		{2, haproxy.Header{Local: true, Source: from4, UniqueID: "id"}, block(0x20, 0)},
		{2, haproxy.Header{Source: from4, Dest: to4, TLS: &filters.TLS{}}, proxied()},
		{2, haproxy.Header{Source: from4, Dest: to4, ServerName: "mx.example", UniqueID: "a.1"}, proxied(tlv(2, "mx.example"), tlv(5, "a.1"))},
		{2, haproxy.Header{Source: from4, Dest: to4, ServerName: "a\r\nb", UniqueID: "a b"}, proxied()},
		{2, haproxy.Header{Source: from4, Dest: to4, UniqueID: strings.Repeat("i", 129)}, proxied()},
		{2, haproxy.Header{Source: from4, Dest: to4, TLS: &filters.TLS{Version: "TLSv1.2", ServerName: "mx.example"}},
			proxied(tlv(2, "mx.example"), ssl(1, 1, tlv(0x21, "TLSv1.2")))},
		{2, haproxy.Header{Source: from4, Dest: to4, TLS: &filters.TLS{Version: "TLSv1.2", Cipher: suite, Client: "c.example"}},
			proxied(ssl(7, 1, tlv(0x21, "TLSv1.2"), tlv(0x22, "c.example"), tlv(0x23, suite)))},
		{2, haproxy.Header{Source: from4, Dest: to4, TLS: &filters.TLS{Version: "TLSv1.2", Verified: true, Client: "a\nb"}},
			proxied(ssl(7, 0, tlv(0x21, "TLSv1.2")))},
		{2, haproxy.Header{Source: from4, Dest: to4, TLS: &filters.TLS{Version: "TLSv1.2", Fingerprint: "00"}},
			proxied(ssl(7, 1, tlv(0x21, "TLSv1.2")))},
	} {
		got, err := haproxy.Append([]byte("before"), c.version, c.h)
		if diff := cmp.Diff("before"+c.want, string(got)); err != nil || diff != "" {
			t.Errorf("%d %+v: %v\n%s", c.version, c.h, err, diff)
		}
	}
}

func mapAddr(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(a.Addr().As16()), a.Port())
}

func TestAppendRefuses(t *testing.T) {
	v4 := haproxy.Header{Source: from4, Dest: to4}
	encrypted := func(tls filters.TLS) haproxy.Header { return haproxy.Header{Source: from4, Dest: to4, TLS: &tls} }
	for _, c := range []struct {
		version int
		h       haproxy.Header
		want    string
	}{
		{0, v4, "unknown version 0"},
		{3, v4, "unknown version 3"},
		{258, v4, "unknown version 258"},
		{1, haproxy.Header{}, "addresses of both ends"},
		{2, haproxy.Header{Source: from4}, "addresses of both ends"},
		{2, haproxy.Header{Dest: to4}, "addresses of both ends"},
		{2, encrypted(filters.TLS{Cipher: suite}), "not a name"},
		{2, encrypted(filters.TLS{Version: "a b"}), "not a name"},
		{2, encrypted(filters.TLS{Version: "TLSv1.3", Cipher: "a\r\n"}), "not a name"},
		{2, encrypted(filters.TLS{Version: "TLSv1.3", Cipher: strings.Repeat("c", 65)}), "not a name"},
	} {
		got, err := haproxy.Append([]byte("before"), c.version, c.h)
		if err == nil || !strings.Contains(err.Error(), c.want) || string(got) != "before" {
			t.Errorf("%d %+v: %q, %v", c.version, c.h, got, err)
		}
	}
}
