package main

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mailweir/mailweir/configs"
	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/rules"
)

// playing is a player that does what a test of it says.
type playing func(ctx context.Context) (*rules.Outcome, error)

func (p playing) skips(*ruleTest) string { return "" }

func (p playing) play(ctx context.Context, _ *ruleSuite, _ *ruleTest, _ *testDNS, asked func(asking)) (*rules.Outcome, error) {
	asked(asking{filter: "witness"})
	return p(ctx)
}

func playOne(p playing) *testResult {
	s := &ruleSuite{file: "x.yaml", player: p, limit: time.Second}
	return s.play(&ruleTest{Test: &rules.Test{}})
}

// A panic fails the test in which it happens, and no other.
func TestPanicInTest(t *testing.T) {
	r := playOne(func(context.Context) (*rules.Outcome, error) { panic("boom") })
	if text := strings.Join(r.differences, "\n"); !strings.HasPrefix(text, "panic: boom\n") || !strings.Contains(text, "testrules_test.go") {
		t.Errorf("got %q", text)
	}
	if len(r.asked) != 1 || testWord(r) != "fail" {
		t.Errorf("got %+v", r)
	}
}

type panics struct{}

func (panics) Connect(context.Context, *filters.Session) filters.Verdict { panic("boom") }

// So does one of a filter, whatever on_error makes of it.
func TestPanicInFilter(t *testing.T) {
	kind := filters.Define(filters.Kind{Name: "panics", Doc: "Panics.", Lenient: true}, struct{}{},
		func(filters.Env, *struct{}) (filters.Filter, error) { return panics{}, nil })
	cfg, err := configs.Parse([]filters.Kind{kind}, "x.yaml", []byte(`
listeners: [{name: mx, address: "127.0.0.1:25", upstream: {address: "127.0.0.1:26"}}]
chain: [{panics: }]
`))
	if err != nil {
		t.Fatal(err)
	}
	s := &ruleSuite{file: "x.yaml", player: &wholeChain{cfg}, limit: time.Minute}
	test := &rules.Test{}
	test.SetDefaults()
	r := s.play(&ruleTest{Test: test})
	if len(r.differences) != 1 || !strings.HasPrefix(r.differences[0], "panics, at connect: panic: boom\n") {
		t.Errorf("got %q", r.differences)
	}
}

// A test that never ends fails at its limit, whether or not it heeds that.
func TestLimitOfTest(t *testing.T) {
	for name, heeds := range map[string]bool{"heeds": true, "deaf": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				began := time.Now()
				r := playOne(func(ctx context.Context) (*rules.Outcome, error) {
					if heeds {
						<-ctx.Done()
					} else {
						<-release
					}
					return &rules.Outcome{}, nil
				})
				close(release)
				if want := "it has not ended within 1s"; len(r.differences) != 1 || r.differences[0] != want {
					t.Errorf("got %q, want %q", r.differences, want)
				}
				if took := time.Since(began); took > time.Second+testGrace {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

const testZone = `
; a comment
mx.example.org A 192.0.2.1
MX.example.org. 300 IN A 192.0.2.2
mx.example.org AAAA 2001:db8::1
alias.example.org CNAME MX.example.org
loop.example.org CNAME loop.example.org
*.wild.example.org TXT "one " "two"
example.org MX 20 b.example.org
example.org MX 10 a.example.org
example.net MX 0 .
1.2.0.192.in-addr.arpa PTR mx.example.org
7.2.0.192.bl.example A 127.0.0.3
broken.example SERVFAIL
silent.example DROP
late.example DELAY 2s
x.late.example A 192.0.2.3
`

func TestZoneOfTest(t *testing.T) {
	for _, c := range []struct {
		name string
		typ  filters.RecordType
		want filters.Answer
		err  error
	}{
		{name: "mx.example.ORG.", typ: filters.TypeA, want: filters.Answer{Addrs: addrs("192.0.2.1", "192.0.2.2"), TTL: 300 * time.Second}},
		{name: "alias.example.org", typ: filters.TypeAAAA, want: filters.Answer{Addrs: addrs("2001:db8::1"), TTL: time.Minute}},
		{name: "loop.example.org", typ: filters.TypeA, err: filters.ErrNoData},
		{name: "a.b.wild.example.org", typ: filters.TypeTXT, want: filters.Answer{Texts: []string{"one two"}, TTL: time.Minute}},
		{name: "a.wild.example.org", typ: filters.TypeA, err: filters.ErrNoData},
		{name: "example.org", typ: filters.TypeMX, want: filters.Answer{MXs: []filters.MX{{Host: "a.example.org", Preference: 10}, {Host: "b.example.org", Preference: 20}}, TTL: time.Minute}},
		{name: "example.net", typ: filters.TypeMX, want: filters.Answer{MXs: []filters.MX{{}}, TTL: time.Minute}},
		{name: "1.2.0.192.in-addr.arpa", typ: filters.TypePTR, want: filters.Answer{Names: []string{"mx.example.org"}, TTL: time.Minute}},
		{name: "2.0.192.in-addr.arpa", typ: filters.TypePTR, err: filters.ErrNoData},
		{name: "other.example.org", typ: filters.TypeA, err: filters.ErrNXDomain},
		{name: "2.0.0.127.bl.example", typ: filters.TypeA, want: filters.Answer{Addrs: addrs("127.0.0.2"), TTL: time.Minute}},
		{name: "2.0.0.127.other.example", typ: filters.TypeA, err: filters.ErrNXDomain},
		{name: "1.0.0.127.bl.example", typ: filters.TypeA, err: filters.ErrNXDomain},
		{name: "www.broken.example", typ: filters.TypeA, err: filters.ErrServFail},
		{name: "silent.example", typ: filters.TypeA, err: filters.ErrDNSTimeout},
		{name: "x.late.example", typ: filters.TypeA, want: filters.Answer{Addrs: addrs("192.0.2.3"), TTL: time.Minute}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { lookUp(t, filters.Question{Name: c.name, Type: c.typ}, c.want, c.err) })
		})
	}
}

func addrs(list ...string) (all []netip.Addr) {
	for _, a := range list {
		all = append(all, netip.MustParseAddr(a))
	}
	return all
}

func lookUp(t *testing.T, q filters.Question, want filters.Answer, wantErr error) {
	z, err := parseZone(testZone)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	got, err := z.Fresh().Lookup(ctx, q)
	if !errors.Is(err, wantErr) {
		t.Fatalf("error %v, want %v", err, wantErr)
	}
	if _, ok := errors.AsType[*filters.DNSError](err); err != nil && !ok {
		t.Errorf("%v is no *DNSError", err)
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); err == nil && diff != "" {
		t.Error(diff)
	}
}

// The store of a test remembers what the test spells, and what filters add.
func TestStoreOfTest(t *testing.T) {
	m := newMemory([]rules.Remembered{{Key: "kind/a", Value: "one"}})
	m.Put("kind/b", []byte("two"), time.Hour)
	for key, want := range map[string]string{"kind/a": "one", "kind/b": "two", "kind/c": ""} {
		got, ok := m.Get(key)
		if string(got) != want || ok != (want != "") {
			t.Errorf("%s: %q, %v", key, got, ok)
		}
	}
}
