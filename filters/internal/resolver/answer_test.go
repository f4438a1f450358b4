package resolver_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/miekg/dns"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/internal/resolver"
)

// sameAnswer compares all but how long and whence.
var sameAnswer = cmp.Options{
	cmp.Comparer(func(x, y netip.Addr) bool { return x == y }),
	cmpopts.IgnoreFields(filters.Answer{}, "TTL", "Cached"),
	cmpopts.EquateEmpty(),
}

func addrs(texts ...string) (list []netip.Addr) {
	for _, text := range texts {
		list = append(list, netip.MustParseAddr(text))
	}
	return list
}

func TestAnswers(t *testing.T) {
	for _, test := range []struct {
		what    string
		name    string
		typ     filters.RecordType
		records []string
		want    filters.Answer
		err     error
	}{
		{what: "addresses", name: "a.example", typ: filters.TypeA,
			records: []string{"a.example. 300 A 192.0.2.1", "a.example. 300 A 192.0.2.2"},
			want:    filters.Answer{Addrs: addrs("192.0.2.1", "192.0.2.2")}},
		{what: "IPv6", name: "a.example.", typ: filters.TypeAAAA,
			records: []string{"a.example. 300 AAAA 2001:db8::1", "a.example. 300 AAAA ::ffff:192.0.2.1"},
			want:    filters.Answer{Addrs: addrs("2001:db8::1", "::ffff:192.0.2.1")}},
		{what: "names", name: "1.2.0.192.in-addr.arpa", typ: filters.TypePTR,
			records: []string{"1.2.0.192.in-addr.arpa. 300 PTR Mx_1.Example."},
			want:    filters.Answer{Names: []string{"Mx_1.Example"}}},
		{what: "exchangers by preference", name: "a.example", typ: filters.TypeMX,
			records: []string{"a.example. 300 MX 20 mx2.example.", "a.example. 300 MX 10 mx1.example.", "a.example. 300 MX 20 mx3.example."},
			want:    filters.Answer{MXs: []filters.MX{{Host: "mx1.example", Preference: 10}, {Host: "mx2.example", Preference: 20}, {Host: "mx3.example", Preference: 20}}}},
		{what: "null MX", name: "a.example", typ: filters.TypeMX,
			records: []string{"a.example. 300 MX 0 ."},
			want:    filters.Answer{MXs: []filters.MX{{Host: "", Preference: 0}}}},
		{what: "services by priority and weight", name: "_smtp._tcp.a.example", typ: filters.TypeSRV,
			records: []string{"_smtp._tcp.a.example. 300 SRV 20 0 25 c.example.", "_smtp._tcp.a.example. 300 SRV 10 9 2525 b.example.", "_smtp._tcp.a.example. 300 SRV 10 1 25 a.example."},
			want: filters.Answer{SRVs: []filters.SRV{{Host: "a.example", Port: 25, Priority: 10, Weight: 1},
				{Host: "b.example", Port: 2525, Priority: 10, Weight: 9}, {Host: "c.example", Port: 25, Priority: 20}}}},
		{what: "no such service", name: "a.example", typ: filters.TypeSRV,
			records: []string{"a.example. 300 SRV 0 0 0 ."},
			want:    filters.Answer{SRVs: []filters.SRV{{}}}},
		{what: "texts, joined", name: "a.example", typ: filters.TypeTXT,
			records: []string{`a.example. 300 TXT "one " "two"`, `a.example. 300 TXT ""`, `a.example. 300 TXT "q\"b\\"`},
			want:    filters.Answer{Texts: []string{"one two", "", `q"b\`}}},
		{what: "control characters in texts", name: "a.example", typ: filters.TypeTXT,
			records: []string{`a.example. 300 TXT "a\010b\000\127\255\194\155\195\188"`},
			want:    filters.Answer{Texts: []string{"a?b????ü"}}},
		{what: "texts that look like escapes", name: "a.example", typ: filters.TypeTXT,
			records: []string{`a.example. 300 TXT "\\065\0651\\" "065\"\\9"`},
			want:    filters.Answer{Texts: []string{`\065A1\065"\9`}}},
		{what: "each octet in a text", name: "a.example", typ: filters.TypeTXT,
			records: []string{"a.example. 300 RAW 16 " + everyOctet()},
			want:    filters.Answer{Texts: []string{strings.Repeat("?", 32) + printable() + strings.Repeat("?", 128)}}},
		{what: "any case of names", name: "A.eXample", typ: filters.TypeA,
			records: []string{"a.exAMPLE. 300 A 192.0.2.1"},
			want:    filters.Answer{Addrs: addrs("192.0.2.1")}},
		{what: "unusual letters in the question", name: "it's@_x.example", typ: filters.TypeA,
			records: []string{`it\'s\@_x.example. 300 A 192.0.2.1`},
			want:    filters.Answer{Addrs: addrs("192.0.2.1")}},
		{what: "aliases in any order and case", name: "a.example", typ: filters.TypeA,
			records: []string{"c.example. 300 A 192.0.2.3", "B.example. 300 CNAME C.example.", "a.example. 300 CNAME b.EXAMPLE."},
			want:    filters.Answer{Addrs: addrs("192.0.2.3")}},
		{what: "DNAME", name: "a.old.example", typ: filters.TypeA,
			records: []string{"old.example. 300 DNAME new.example.", "a.old.example. 300 CNAME a.new.example.", "a.new.example. 300 A 192.0.2.4"},
			want:    filters.Answer{Addrs: addrs("192.0.2.4")}},
		{what: "an alias of nothing", name: "a.example", typ: filters.TypeA,
			records: []string{"a.example. 300 CNAME b.example."}, err: filters.ErrNoData},
		{what: "lying owners", name: "a.example", typ: filters.TypeA,
			records: []string{"b.example. 300 A 192.0.2.66"}, err: filters.ErrNoData},
		{what: "lying owners beside a true one", name: "a.example", typ: filters.TypeA,
			records: []string{"b.example. 300 A 192.0.2.66", "a.example. 300 A 192.0.2.1", "b.example. 300 CNAME a.example."},
			want:    filters.Answer{Addrs: addrs("192.0.2.1")}},
		{what: "another class", name: "a.example", typ: filters.TypeTXT,
			records: []string{`a.example. 300 CH TXT "chaos"`, `a.example. 300 IN TXT "internet"`},
			want:    filters.Answer{Texts: []string{"internet"}}},
		{what: "another type", name: "a.example", typ: filters.TypeA,
			records: []string{`a.example. 300 TXT "text"`}, err: filters.ErrNoData},
		{what: "a malformed record makes garbage of the whole reply", name: "a.example", typ: filters.TypeA,
			records: []string{`a.example. 300 RAW 1 C00002`, "a.example. 300 A 192.0.2.1"}, err: filters.ErrServFail},
		{what: "a malformed record of another type makes garbage of the whole reply", name: "a.example", typ: filters.TypeA,
			records: []string{"a.example. 300 A 192.0.2.1", `a.example. 300 RAW 46 00`}, err: filters.ErrServFail},
		{what: "a malformed IPv6 address is garbage", name: "a.example", typ: filters.TypeAAAA,
			records: []string{`a.example. 300 RAW 28 C0000201`}, err: filters.ErrServFail},
		{what: "malformed texts are garbage", name: "a.example", typ: filters.TypeTXT,
			records: []string{`a.example. 300 RAW 16 054141`}, err: filters.ErrServFail},
		{what: "half a preference is garbage", name: "a.example", typ: filters.TypeMX,
			records: []string{`a.example. 300 RAW 15 00`}, err: filters.ErrServFail},
		{what: "half an exchanger is garbage", name: "a.example", typ: filters.TypeMX,
			records: []string{`a.example. 300 RAW 15 000101`}, err: filters.ErrServFail},
		{what: "half a port is garbage", name: "a.example", typ: filters.TypeSRV,
			records: []string{`a.example. 300 RAW 33 0001000200`}, err: filters.ErrServFail},
		{what: "half a host of a service is garbage", name: "a.example", typ: filters.TypeSRV,
			records: []string{`a.example. 300 RAW 33 00010002001901`}, err: filters.ErrServFail},
		{what: "a name that runs over its data is garbage", name: "a.example", typ: filters.TypePTR,
			records: []string{"a.example. 300 RAW 12 0461626364", "a.example. 300 PTR ok.example."}, err: filters.ErrServFail},
		{what: "a record without data beside a true one", name: "a.example", typ: filters.TypeA,
			records: []string{`a.example. 300 RAW 1 `, "a.example. 300 A 192.0.2.1"},
			want:    filters.Answer{Addrs: addrs("192.0.2.1")}},
		{what: "only a record without data", name: "a.example", typ: filters.TypeAAAA,
			records: []string{`a.example. 300 RAW 28 `}, err: filters.ErrNoData},
		{what: "a name without data", name: "a.example", typ: filters.TypePTR,
			records: []string{`a.example. 300 RAW 12 `}, err: filters.ErrNoData},
		{what: "texts without data", name: "a.example", typ: filters.TypeTXT,
			records: []string{`a.example. 300 RAW 16 `}, err: filters.ErrNoData},
		{what: "no exchanger is not the null MX", name: "a.example", typ: filters.TypeMX,
			records: []string{`a.example. 300 RAW 15 `, `a.example. 300 RAW 15 0000`}, err: filters.ErrNoData},
		{what: "no host is not the absence of a service", name: "a.example", typ: filters.TypeSRV,
			records: []string{`a.example. 300 RAW 33 `, `a.example. 300 RAW 33 000100020019`}, err: filters.ErrNoData},
		{what: "an alias without data", name: "a.example", typ: filters.TypeA,
			records: []string{`a.example. 300 RAW 5 `, ". 300 A 192.0.2.66"}, err: filters.ErrNoData},
		{what: "names that are none", name: "a.example", typ: filters.TypePTR,
			records: []string{`a.example. 300 PTR a\010b.example.`, `a.example. 300 PTR a\ b.example.`, `a.example. 300 PTR a\.b.example.`,
				`a.example. 300 PTR \195\188.example.`, `a.example. 300 PTR <b>.example.`, `a.example. 300 PTR .`, `a.example. 300 PTR ok.example.`},
			want: filters.Answer{Names: []string{"ok.example"}}},
		{what: "only names that are none", name: "a.example", typ: filters.TypeMX,
			records: []string{`a.example. 300 MX 10 a\010b.example.`}, err: filters.ErrNoData},
		{what: "only hosts of services that are none", name: "a.example", typ: filters.TypeSRV,
			records: []string{`a.example. 300 SRV 1 2 25 a\010b.example.`}, err: filters.ErrNoData},
	} {
		t.Run(test.what, func(t *testing.T) {
			for _, random := range []bool{false, true} {
				p := serveUDP(t, says(test.records...))
				o := to(p)
				o.RandomCase = random
				a, err := ask(t, open(t, o), test.typ, test.name)
				if !errors.Is(err, test.err) || (err == nil) != (test.err == nil) {
					t.Fatalf("error %v, want %v", err, test.err)
				}
				if diff := cmp.Diff(test.want, a, sameAnswer); diff != "" {
					t.Errorf("-want +got\n%s", diff)
				}
			}
		})
	}
}

// everyOctet is the data of a TXT record with all octets but the last, 255.
func everyOctet() string {
	data := []byte{255}
	for c := range 255 {
		data = append(data, byte(c))
	}
	return hex.EncodeToString(data)
}

// printable are the characters of ASCII that are no controls.
func printable() (text string) {
	for c := ' '; c <= '~'; c++ {
		text += string(c)
	}
	return text
}

// manyRecords are n records of the type, each with n in place of %d.
func manyRecords(n int, format string) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprintf(format, i))
	}
	return list
}

// TestGiants sends more than anybody needs, over TCP where there is room.
func TestGiants(t *testing.T) {
	long := strings.Repeat("x", 63)
	for _, test := range []struct {
		what    string
		typ     filters.RecordType
		records []string
		want    int
	}{
		{"addresses", filters.TypeA, manyRecords(250, "a.example. 300 A 192.0.2.%d"), 64},
		{"names", filters.TypePTR, manyRecords(250, "a.example. 300 PTR h%d.example."), 64},
		{"long names", filters.TypePTR, manyRecords(60, "a.example. 300 PTR "+long+"."+long+"."+long+".h%02d.example."), 4096 / (3*64 + len("h00.example"))},
		{"exchangers", filters.TypeMX, manyRecords(250, "a.example. 300 MX 10 h%d.example."), 64},
		{"services", filters.TypeSRV, manyRecords(250, "a.example. 300 SRV 1 2 25 h%d.example."), 64},
		{"texts", filters.TypeTXT, manyRecords(250, `a.example. 300 TXT "text %d"`), 32},
		{"long texts", filters.TypeTXT, manyRecords(20, `a.example. 300 TXT "`+strings.Repeat("y", 198)+`%02d" "`+strings.Repeat("z", 200)+`"`), 10},
	} {
		t.Run(test.what, func(t *testing.T) {
			p := serve(t, func(q question) [][]byte {
				m := answer(q)
				m.Truncated = true
				if q.tcp {
					m = answer(q, test.records...)
				}
				return send(q, m)
			})
			a, err := ask(t, open(t, to(p)), test.typ, "a.example")
			if got := len(a.Addrs) + len(a.Names) + len(a.MXs) + len(a.Texts) + len(a.SRVs); got != test.want || err != nil {
				t.Errorf("%d records, %v, want %d", got, err, test.want)
			}
		})
	}
}

func TestAliases(t *testing.T) {
	chain := func(links int) (records []string) {
		for i := range links {
			records = append(records, fmt.Sprintf("%d.example. 300 CNAME %d.example.", i, i+1))
		}
		return append(records, fmt.Sprintf("%d.example. 300 A 192.0.2.1", links))
	}
	for _, test := range []struct {
		what    string
		records []string
		err     error
	}{
		{"16 links", chain(16), nil},
		{"17 links", chain(17), filters.ErrServFail},
		{"a loop", []string{"0.example. 300 CNAME 1.example.", "1.example. 300 CNAME 0.example."}, filters.ErrServFail},
		{"an alias of itself", []string{"0.example. 300 CNAME 0.example."}, filters.ErrServFail},
	} {
		t.Run(test.what, func(t *testing.T) {
			p := serveUDP(t, says(test.records...))
			_, err := ask(t, open(t, to(p)), filters.TypeA, "0.example")
			if !errors.Is(err, test.err) || (err == nil) != (test.err == nil) {
				t.Errorf("error %v, want %v", err, test.err)
			}
		})
	}
}

// TestNothing tells apart why there is no answer, and how long that is
// believed (RFC 2308 sections 2 and 5).
func TestNothing(t *testing.T) {
	const soa = "example. 900 SOA ns.example. hostmaster.example. 1 2 3 4 "
	for _, test := range []struct {
		what  string
		reply func(q question) *dns.Msg
		err   error
		ttl   time.Duration
	}{
		{"no such name", func(q question) *dns.Msg { return nothing(q, dns.RcodeNameError, soa+"600") }, filters.ErrNXDomain, 10 * time.Minute},
		{"no data", func(q question) *dns.Msg { return nothing(q, dns.RcodeSuccess, soa+"600") }, filters.ErrNoData, 10 * time.Minute},
		{"a short life of the SOA record", func(q question) *dns.Msg { return nothing(q, dns.RcodeNameError, soa+"1200") }, filters.ErrNXDomain, 15 * time.Minute},
		{"no SOA record", func(q question) *dns.Msg { return nothing(q, dns.RcodeNameError, "") }, filters.ErrNXDomain, time.Minute},
		{"less than the least", func(q question) *dns.Msg { return nothing(q, dns.RcodeNameError, soa+"1") }, filters.ErrNXDomain, time.Minute},
		{"more than the most", func(q question) *dns.Msg {
			return nothing(q, dns.RcodeNameError, strings.Replace(soa, "900", "86400", 1)+"86400")
		}, filters.ErrNXDomain, time.Hour},
		{"no such name, with records", func(q question) *dns.Msg {
			m := answer(q, q.name()+" 300 A 192.0.2.1")
			m.Rcode = dns.RcodeNameError
			return m
		}, filters.ErrNXDomain, time.Minute},
		{"an alias that dies before the SOA record", func(q question) *dns.Msg {
			m := nothing(q, dns.RcodeSuccess, soa+"600")
			m.Answer = []dns.RR{record(q.name() + " 120 CNAME b.example.")}
			return m
		}, filters.ErrNoData, 2 * time.Minute},
		{"SERVFAIL", func(q question) *dns.Msg { return nothing(q, dns.RcodeServerFailure, "") }, filters.ErrServFail, 5 * time.Second},
		{"REFUSED", func(q question) *dns.Msg { return nothing(q, dns.RcodeRefused, "") }, filters.ErrServFail, 5 * time.Second},
		{"an unknown code", func(q question) *dns.Msg { return nothing(q, 15, "") }, filters.ErrServFail, 5 * time.Second},
		{"a referral", func(q question) *dns.Msg {
			m := answer(q)
			m.RecursionAvailable = false
			m.Ns = []dns.RR{record("example. 300 NS ns.example.")}
			return m
		}, filters.ErrServFail, 5 * time.Second},
	} {
		t.Run(test.what, func(t *testing.T) {
			c := newClock()
			p := serveUDP(t, func(q question) [][]byte { return send(q, test.reply(q)) })
			o := to(p)
			o.Now = c.Now
			r := open(t, o)
			q := filters.Question{Name: "a.example", Type: filters.TypeA}
			_, err := r.Lookup(t.Context(), q)
			var why *filters.DNSError
			if !errors.Is(err, test.err) || !errors.As(err, &why) || why.Question != q {
				t.Fatalf("error %v, want %v", err, test.err)
			}
			if test.err == filters.ErrServFail && !strings.Contains(why.Detail, p.addr.String()) {
				t.Errorf("detail %q does not tell which server failed", why.Detail)
			}
			c.pass(test.ttl - 1)
			if _, err, ok := r.Known(q); !ok || !errors.Is(err, test.err) {
				t.Errorf("known before its time is up: %v, %v", err, ok)
			}
			c.pass(1)
			if _, err, ok := r.Known(q); ok {
				t.Errorf("still known when its time is up: %v", err)
			}
		})
	}
}

func TestUnaskable(t *testing.T) {
	r := open(t, resolver.Options{Servers: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:1")}})
	label := strings.Repeat("a", 63)
	for name, want := range map[string]error{
		"":                           filters.ErrNXDomain,
		".":                          filters.ErrNXDomain,
		"a..example":                 filters.ErrNXDomain,
		".example":                   filters.ErrNXDomain,
		"a.example..":                filters.ErrNXDomain,
		"a" + label + ".example":     filters.ErrNXDomain,
		strings.Repeat(label+".", 4): filters.ErrNXDomain,
		"a b.example":                filters.ErrNXDomain,
		"a\x00.example":              filters.ErrNXDomain,
		"a\r\n.example":              filters.ErrNXDomain,
		`a\046b.example`:             filters.ErrNXDomain,
		"münchen.example":            filters.ErrServFail,
		"\u212aelvin.example":        filters.ErrServFail,
		"a\xff.example":              filters.ErrServFail,
	} {
		if _, err := ask(t, r, filters.TypeA, name); !errors.Is(err, want) || !strings.Contains(err.Error(), "not asked") {
			t.Errorf("%q: %v, want %v without asking", name, err, want)
		}
	}
	if _, err := ask(t, r, 65, "a.example"); !errors.Is(err, filters.ErrServFail) {
		t.Errorf("a type that nobody reads: %v", err)
	}
}

// TestLongestName asks for a name of 253 octets, which is just allowed.
func TestLongestName(t *testing.T) {
	label := strings.Repeat("a", 63)
	name := label + "." + label + "." + label + "." + label[:61]
	p := serveUDP(t, addresses)
	for _, random := range []bool{true, false} {
		o := to(p)
		o.RandomCase = random
		if _, err := ask(t, open(t, o), filters.TypeA, name+"."); err != nil {
			t.Error(err)
		}
	}
}
