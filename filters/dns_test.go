package filters_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/filtertest"
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

func TestAddresses(t *testing.T) {
	zone := filtertest.NewZone(t, `
both.example A 192.0.2.1
both.example AAAA 2001:db8::1
four.example A 192.0.2.1
six.example AAAA 2001:db8::1
text.example TXT "none"
broken.example SERVFAIL
alias.example CNAME four.example.
`)
	for host, want := range map[string]string{
		"both.example":   "192.0.2.1 2001:db8::1",
		"four.example":   "192.0.2.1",
		"six.example":    "2001:db8::1",
		"alias.example":  "192.0.2.1",
		"text.example":   filters.ErrNoData.Error(),
		"no.example":     filters.ErrNXDomain.Error(),
		"broken.example": filters.ErrServFail.Error(),
	} {
		addrs, err := filters.Addresses(context.Background(), zone, host)
		var words []string
		for _, a := range addrs {
			words = append(words, a.String())
		}
		got := strings.Join(words, " ")
		if err != nil {
			got = errors.Unwrap(err).Error()
		}
		if got != want {
			t.Errorf("%s: %s, want %s", host, got, want)
		}
	}
}

// One kind of addresses is enough where the other kind cannot be had.
func TestAddressesOfOneKind(t *testing.T) {
	for _, ill := range []filters.RecordType{filters.TypeA, filters.TypeAAAA} {
		r := half{filtertest.NewZone(t, "both.example A 192.0.2.1\nboth.example AAAA 2001:db8::1\nfour.example A 192.0.2.1"), ill}
		if addrs, err := filters.Addresses(context.Background(), r, "both.example"); err != nil || len(addrs) != 1 {
			t.Errorf("without %s: %v, %v", ill, addrs, err)
		}
		if _, err := filters.Addresses(context.Background(), r, "no.example"); !errors.Is(err, filters.ErrServFail) {
			t.Errorf("without %s: a name that is not there: %v, want that nobody knows", ill, err)
		}
	}
}

// half is a resolver that fails for one type.
type half struct {
	filters.Resolver
	ill filters.RecordType
}

func (h half) Lookup(ctx context.Context, q filters.Question) (filters.Answer, error) {
	if q.Type == h.ill {
		return filters.Answer{}, &filters.DNSError{Question: q, Err: filters.ErrServFail}
	}
	return h.Resolver.Lookup(ctx, q)
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
