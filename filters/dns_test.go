package filters_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/mailweir/mailweir/filters"
)

func TestReverseNames(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.1":        "1.2.0.192.in-addr.arpa",
		"255.255.255.255":  "255.255.255.255.in-addr.arpa",
		"::ffff:192.0.2.1": "1.2.0.192.in-addr.arpa",
		"2001:db8::1":      "1.0.0.0." + strings.Repeat("0.", 20) + "8.b.d.0.1.0.0.2.ip6.arpa",
		"::1":              "1." + strings.Repeat("0.", 31) + "ip6.arpa",
		"fe80::1%eth0":     "1.0.0.0." + strings.Repeat("0.", 25) + "8.e.f.ip6.arpa",
	} {
		if got := filters.ReverseName(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
}

func TestDNSErrorWords(t *testing.T) {
	err := &filters.DNSError{Question: filters.Question{Name: "a.example", Type: filters.TypeMX}, Err: filters.ErrServFail, Detail: "REFUSED by 192.0.2.53"}
	if want := "MX a.example: the name servers failed: REFUSED by 192.0.2.53"; err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
	if filters.NotFound(err) || !filters.NotFound(&filters.DNSError{Err: filters.ErrNoData}) {
		t.Error("what was not found, and what failed, are not told apart")
	}
}
