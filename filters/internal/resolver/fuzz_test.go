package resolver_test

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/miekg/dns"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/internal/resolver"
)

// FuzzRead reads packets as replies: as they are but for the id, or, if right
// is set, as what follows the right question. What is read must be bounded and
// clean.
func FuzzRead(f *testing.F) {
	const name = "a.example"
	types := []filters.RecordType{filters.TypeA, filters.TypeAAAA, filters.TypePTR, filters.TypeMX, filters.TypeTXT, filters.TypeSRV}
	for i, typ := range types {
		q, err := wireQuestion(name, typ)
		if err != nil {
			f.Fatal(err)
		}
		for _, records := range [][]string{
			{"a.example. 300 CNAME b.example.", "b.example. 300 A 192.0.2.1", "b.example. 300 AAAA 2001:db8::1"},
			{"a.example. 300 CNAME a.example."},
			{`a.example. 300 PTR a\010b.example.`, "a.example. 300 PTR b.example."},
			{"a.example. 300 MX 0 .", "a.example. 300 MX 10 b.example."},
			{"a.example. 300 SRV 0 0 0 .", "a.example. 300 SRV 10 5 25 b.example."},
			{`a.example. 300 TXT "a" "\000\255"`, `a.example. 300 CH TXT "b"`},
			{"a.example. 300 RAW 1 C0", "a.example. 300 RAW 16 05", "a.example. 300 RAW 12 C00C"},
		} {
			m := answer(q, records...)
			m.SetEdns0(1232, false)
			m.Ns = []dns.RR{record("example. 900 SOA ns.example. hostmaster.example. 1 2 3 4 600")}
			packet, err := m.Pack()
			if err != nil {
				f.Fatal(err)
			}
			f.Add(packet[2:], false, uint8(i))
			var counts [8]byte
			binary.BigEndian.PutUint16(counts[2:], 2)
			f.Add(append(counts[:], packet[12+len(name)+2+4:]...), true, uint8(i))
		}
	}
	f.Fuzz(func(t *testing.T, packet []byte, right bool, typ uint8) {
		asked := types[int(typ)%len(types)]
		q, err := resolver.NewQuestion(name, asked)
		if err != nil {
			t.Fatal(err)
		}
		wire := q.Wire()
		if end := 12 + len(name) + 2 + 4; right && len(packet) >= 8 {
			head := slices.Concat(wire[:2], packet[:2], []byte{0, 1}, packet[2:8], wire[12:end])
			head[2] = 0x80 | head[2]&0x07
			packet = append(head, packet[8:]...)
		} else {
			packet = append(slices.Clone(wire[:2]), packet...)
		}
		a, detail, ok, none := q.Read(packet)
		if !ok {
			return
		}
		if none != nil && !errors.Is(none, filters.ErrNXDomain) && !errors.Is(none, filters.ErrNoData) {
			t.Fatalf("error %v", none)
		}
		checkAnswer(t, asked, a, none, detail)
	})
}

// checkAnswer holds what is promised of every answer.
func checkAnswer(t *testing.T, asked filters.RecordType, a filters.Answer, none error, detail string) {
	t.Helper()
	lists := map[filters.RecordType]int{filters.TypePTR: len(a.Names), filters.TypeMX: len(a.MXs), filters.TypeTXT: len(a.Texts), filters.TypeSRV: len(a.SRVs)}
	if asked == filters.TypeA || asked == filters.TypeAAAA {
		lists[asked] = len(a.Addrs)
	} else if len(a.Addrs) > 0 {
		t.Errorf("addresses for %s", asked)
	}
	for typ, n := range lists {
		if typ != asked && n > 0 {
			t.Errorf("%d items of %s for %s", n, typ, asked)
		}
	}
	if n := lists[asked]; (n == 0) != (none != nil) || n > 64 || asked == filters.TypeTXT && n > 32 {
		t.Errorf("%d items, error %v", n, none)
	}
	for _, addr := range a.Addrs {
		if addr.Is4() != (asked == filters.TypeA) || !addr.IsValid() {
			t.Errorf("address %v", addr)
		}
	}
	octets := 0
	hosts := slices.Clone(a.Names)
	for _, mx := range a.MXs {
		if mx.Host != "" {
			hosts = append(hosts, mx.Host)
		}
	}
	for _, srv := range a.SRVs {
		if srv.Host != "" {
			hosts = append(hosts, srv.Host)
		}
	}
	for _, host := range hosts {
		octets += len(host)
		if len(host) > 253 || strings.ContainsFunc(host, notOfHosts) || host == "" || strings.HasSuffix(host, ".") {
			t.Errorf("host %q", host)
		}
	}
	for _, text := range a.Texts {
		octets += len(text)
		if !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
			t.Errorf("text %q", text)
		}
	}
	if octets > 4096 {
		t.Errorf("%d octets of names and texts", octets)
	}
	if len(detail) > 200 || strings.ContainsFunc(detail, func(c rune) bool { return c < ' ' || c > '~' }) {
		t.Errorf("detail %q", detail)
	}
	if !slices.IsSortedFunc(a.MXs, func(x, y filters.MX) int { return int(x.Preference) - int(y.Preference) }) {
		t.Errorf("exchangers out of order: %v", a.MXs)
	}
	if !slices.IsSortedFunc(a.SRVs, func(x, y filters.SRV) int { return int(x.Priority) - int(y.Priority) }) {
		t.Errorf("services out of order: %v", a.SRVs)
	}
}

func notOfHosts(c rune) bool {
	return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.", c)
}

// wireQuestion is what a name server sees of a question.
func wireQuestion(name string, typ filters.RecordType) (question, error) {
	q := question{Msg: new(dns.Msg)}
	made, err := resolver.NewQuestion(name, typ)
	if err != nil {
		return q, err
	}
	return q, q.Unpack(made.Wire())
}
