package rdns_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/filtertest"
	"github.com/mailweir/mailweir/filters/rdns"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	missing     = "550 5.7.25 rdns_missing"
	unconfirmed = "550 5.7.25 rdns_unconfirmed"
	generic     = "550 5.7.1 rdns_generic"
)

// world is what the DNS says about the clients of the tests.
const world = `
1.2.0.192.in-addr.arpa PTR mail.example.com.
mail.example.com A 192.0.2.1
mail.example.com AAAA 2001:db8::1
1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa PTR Mail.Example.com.
3.2.0.192.in-addr.arpa PTR liar.example.com.
liar.example.com A 198.51.100.3
4.2.0.192.in-addr.arpa PTR gone.example.com.
5.2.0.192.in-addr.arpa PTR host-192-0-2-5.example.net.
host-192-0-2-5.example.net A 192.0.2.5
6.2.0.192.in-addr.arpa PTR host-192-0-2-6.example.net.
6.2.0.192.in-addr.arpa PTR b.example.com.
6.2.0.192.in-addr.arpa PTR a.example.com.
host-192-0-2-6.example.net A 192.0.2.6
b.example.com A 198.51.100.1
b.example.com A 192.0.2.6
7.2.0.192.in-addr.arpa TXT "no name"
8.2.0.192.in-addr.arpa SERVFAIL
9.2.0.192.in-addr.arpa PTR broken.example.com.
broken.example.com SERVFAIL
10.2.0.192.in-addr.arpa PTR broken.example.com.
10.2.0.192.in-addr.arpa PTR mail10.example.com.
mail10.example.com A 192.0.2.10
11.2.0.192.in-addr.arpa PTR broken.example.com.
11.2.0.192.in-addr.arpa PTR dyn11.example.net.
dyn11.example.net A 192.0.2.11
12.2.0.192.in-addr.arpa PTR dyn12.broken.example.com.
13.2.0.192.in-addr.arpa PTR two\032words.example.
14.2.0.192.in-addr.arpa PTR only6.example.com.
only6.example.com AAAA 2001:db8::1
15.2.0.192.in-addr.arpa PTR dyn15.example.net.
`

type gate interface {
	filters.ConnectFilter
	filters.HeloFilter
	filters.MailFilter
	filters.RcptFilter
	filters.Stager
}

func newGate(t *testing.T, zone, options string) (gate, *filtertest.Zone) {
	t.Helper()
	env, _ := filtertest.Env("")
	z := filtertest.NewZone(t, zone)
	env.Resolver = z
	return filtertest.New[gate](t, env, rdns.Kind, options), z
}

// ask returns what two recipients of the session get to hear.
func ask(t *testing.T, f gate, s *filters.Session) string {
	t.Helper()
	if v := f.Connect(t.Context(), s); v != (filters.Verdict{}) {
		t.Errorf("%v is told at connect: %s", s.Client, filtertest.Show(v))
	}
	first := rcpt(t, f, s)
	if second := rcpt(t, f, s); first != second {
		t.Errorf("%v: one recipient gets %s, another %s", s.Client, first, second)
	}
	return first
}

func rcpt(t *testing.T, f gate, s *filters.Session) string {
	return filtertest.Show(f.Rcpt(t.Context(), &filters.Transaction{Session: s}, filtertest.Path("b@example.org")))
}

func session(t *testing.T, client string) *filters.Session {
	s := filtertest.Session(client)
	s.Begin(t.Context())
	t.Cleanup(s.End)
	return s
}

func TestVerdicts(t *testing.T) {
	const silent = "the name servers failed"
	for _, c := range []struct{ options, client, want, name, confirmed string }{
		{"", "192.0.2.1", "continue", "mail.example.com", "mail.example.com"},
		{"", "::ffff:192.0.2.1", "continue", "mail.example.com", "mail.example.com"},
		{"", "2001:db8::1", "continue", "mail.example.com", "mail.example.com"},
		{"", "192.0.2.2", missing, "", ""},
		{"", "2001:db8::2", missing, "", ""},
		{"", "192.0.2.7", missing, "", ""},
		{"", "192.0.2.3", unconfirmed, "liar.example.com", ""},
		{"", "192.0.2.4", unconfirmed, "gone.example.com", ""},
		{"", "192.0.2.14", unconfirmed, "only6.example.com", ""},
		{"", "192.0.2.13", unconfirmed, "", ""},
		{"", "192.0.2.5", generic, "host-192-0-2-5.example.net", "host-192-0-2-5.example.net"},
		{"", "192.0.2.6", "continue", "a.example.com", "b.example.com"},
		{"", "192.0.2.10", "continue", "broken.example.com", "mail10.example.com"},
		{"", "192.0.2.15", unconfirmed, "dyn15.example.net", ""},
		{"unconfirmed: false", "192.0.2.15", generic, "dyn15.example.net", ""},

		{"", "192.0.2.8", "error PTR 8.2.0.192.in-addr.arpa: " + silent, "error", "error"},
		{"", "192.0.2.9", "error A broken.example.com: " + silent, "broken.example.com", "error"},
		{"unconfirmed: false", "192.0.2.9", "continue", "broken.example.com", "error"},
		{"", "192.0.2.11", "continue", "broken.example.com", "dyn11.example.net"}, // broken may be confirmed too
		{"", "192.0.2.12", generic, "dyn12.broken.example.com", "error"},
		{"generic: ignore", "192.0.2.12", "error A dyn12.broken.example.com: " + silent, "dyn12.broken.example.com", "error"},

		{"missing: false", "192.0.2.2", "continue", "", ""},
		{"missing: ignore", "192.0.2.2", missing + " observed", "", ""},
		{"unconfirmed: ignore", "192.0.2.3", unconfirmed + " observed", "liar.example.com", ""},
		{"{unconfirmed: ignore, missing: false}", "192.0.2.15", generic, "dyn15.example.net", ""},
		{"generic: ignore", "192.0.2.5", generic + " observed", "host-192-0-2-5.example.net", "host-192-0-2-5.example.net"},
		{"generic: false", "192.0.2.5", "continue", "host-192-0-2-5.example.net", "host-192-0-2-5.example.net"},
		{"trusted_words: [host]", "192.0.2.5", "continue", "host-192-0-2-5.example.net", "host-192-0-2-5.example.net"},
		{"trusted_domains: [.example.net]", "192.0.2.5", "continue", "host-192-0-2-5.example.net", "host-192-0-2-5.example.net"},
		{"generic_words: [b]", "192.0.2.6", generic, "a.example.com", "b.example.com"},

		{"", "127.0.0.1", "continue", "unset", "unset"},
		{"", "::1", "continue", "unset", "unset"},
		{"", "10.1.2.3", "continue", "unset", "unset"},
		{"", "fd00::1", "continue", "unset", "unset"},
		{"exempt: [192.0.2.0/24]", "192.0.2.2", "continue", "unset", "unset"},
		{"exempt: []", "10.1.2.3", missing, "", ""},
	} {
		f, _ := newGate(t, world, c.options)
		s := session(t, c.client)
		if got := observed(ask(t, f, s), f, t, s); got != c.want {
			t.Errorf("{%s} %s: %s, want %s", c.options, c.client, got, c.want)
		}
		if name := fact(t, s, rdns.Name); name != c.name {
			t.Errorf("{%s} %s: name %q, want %q", c.options, c.client, name, c.name)
		}
		if name := fact(t, s, rdns.Confirmed); name != c.confirmed {
			t.Errorf("{%s} %s: confirmed %q, want %q", c.options, c.client, name, c.confirmed)
		}
	}
}

// observed adds to a shown verdict whether it is only to be observed.
func observed(shown string, f gate, t *testing.T, s *filters.Session) string {
	v := f.Mail(t.Context(), &filters.Transaction{Session: s})
	if v.Finding != nil && v.Finding.Observed {
		return shown + " observed"
	}
	return shown
}

func fact(t *testing.T, s *filters.Session, f filters.Fact[string]) string {
	switch name, err := f.Get(t.Context(), s); {
	case errors.Is(err, filters.ErrNoFact):
		return "unset"
	case err != nil:
		return "error"
	default:
		return name
	}
}

func TestStages(t *testing.T) {
	for _, c := range []struct{ options, stages string }{
		{"", "connect rcpt"},
		{"at: connect", "connect"},
		{"at: helo", "connect helo"},
		{"at: mail", "connect mail"},
		{"{missing: false, unconfirmed: false, generic: false}", "connect"},
	} {
		f, _ := newGate(t, world, c.options)
		if got := filters.StagesOf(f).String(); got != c.stages {
			t.Errorf("{%s} %s, want %s", c.options, got, c.stages)
		}
	}
}

func TestJudgesAtConnect(t *testing.T) {
	f, _ := newGate(t, world, "at: connect")
	for client, want := range map[string]string{"192.0.2.1": "continue", "192.0.2.2": missing} {
		if got := filtertest.Show(f.Connect(t.Context(), session(t, client))); got != want {
			t.Errorf("%s: %s, want %s", client, got, want)
		}
	}
}

func TestNameByTheMTA(t *testing.T) {
	f, zone := newGate(t, world, "")
	for name, want := range map[string]string{"Good.example.org": "continue", "dsl-7.example.org": generic} {
		s := session(t, "192.0.2.2")
		s.ClientName = name
		if got := ask(t, f, s); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
		if got := fact(t, s, rdns.Name) + " " + fact(t, s, rdns.Confirmed); got != strings.ToLower(name+" "+name) {
			t.Errorf("%s: facts %s", name, got)
		}
	}
	if n := zone.Asked("2.2.0.192.in-addr.arpa", filters.TypePTR); n != 0 {
		t.Errorf("the DNS was asked %d times", n)
	}
}

func TestLoggedInClientsPass(t *testing.T) {
	f, _ := newGate(t, world, "")
	s := session(t, "192.0.2.2")
	s.AuthUser = "alice"
	if got := ask(t, f, s); got != "continue" {
		t.Error(got)
	}
}

func TestWithoutResolverOrAddress(t *testing.T) {
	env, _ := filtertest.Env("")
	f := filtertest.New[gate](t, env, rdns.Kind, "")
	if got := ask(t, f, session(t, "192.0.2.2")); got != "continue" {
		t.Errorf("without a resolver: %s", got)
	}
	f, _ = newGate(t, world, "")
	s := session(t, "192.0.2.2")
	s.Client = netip.AddrPort{}
	if got := ask(t, f, s); got != "continue" {
		t.Errorf("without an address: %s", got)
	}
}

func TestBoundedNames(t *testing.T) {
	var zone strings.Builder
	for i := range 200 {
		fmt.Fprintf(&zone, "1.2.0.192.in-addr.arpa PTR mx%03d.example.com.\n", i)
	}
	f, z := newGate(t, zone.String(), "")
	if got := ask(t, f, session(t, "192.0.2.1")); got != unconfirmed {
		t.Error(got)
	}
	asked := 0
	for i := range 200 {
		asked += z.Asked(fmt.Sprintf("mx%03d.example.com", i), filters.TypeA)
	}
	if asked != 10 {
		t.Errorf("%d names were looked up", asked)
	}
}

func TestReplyIsSafe(t *testing.T) {
	f, _ := newGate(t, "", "")
	s := session(t, "192.0.2.1")
	s.ClientName = "dyn.\r\n\x00\xff" + strings.Repeat("x", 1000) + ".example"
	if v := f.Connect(t.Context(), s); v != (filters.Verdict{}) {
		t.Fatal(filtertest.Show(v))
	}
	text := f.Mail(t.Context(), &filters.Transaction{Session: s}).Finding.Reply.Text
	if len(text) > 250 || strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c > '~' }) {
		t.Errorf("%q", text)
	}
}

// TestSilence holds a silent DNS to no more than the timeout, counted from
// connect on and for all recipients together.
func TestSilence(t *testing.T) {
	for _, c := range []struct{ zone, want string }{
		{"in-addr.arpa DROP", "error PTR 1.2.0.192.in-addr.arpa: the name servers are silent"},
		{"1.2.0.192.in-addr.arpa PTR a.example.com.\na.example.com DROP", "error A a.example.com: the name servers are silent"},
	} {
		f, _ := newGate(t, c.zone, "")
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			s := session(t, "192.0.2.1")
			if got := ask(t, f, s); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			if took := time.Since(began); took < 4*time.Second || took >= 5*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

// TestOverlap lets the dialogue go on while the look-ups are under way.
func TestOverlap(t *testing.T) {
	f, _ := newGate(t, world+"in-addr.arpa DELAY 2s\nexample.com DELAY 1s\n", "")
	synctest.Test(t, func(t *testing.T) {
		s := session(t, "192.0.2.6")
		began := time.Now()
		f.Connect(t.Context(), s)
		if took := time.Since(began); took != 0 {
			t.Errorf("connect took %v", took)
		}
		time.Sleep(2 * time.Second)
		if got := rcpt(t, f, s); got != "continue" {
			t.Error(got)
		}
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// TestEndOfSession leaves nothing behind a client that is gone.
func TestEndOfSession(t *testing.T) {
	f, _ := newGate(t, "in-addr.arpa DROP", "")
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		s := filtertest.Session("192.0.2.1")
		s.Begin(t.Context())
		f.Connect(t.Context(), s)
		s.End()
		if took := time.Since(began); took != 0 {
			t.Errorf("took %v", took)
		}
	})
}

func TestTwoEntries(t *testing.T) {
	env, _ := filtertest.Env("")
	env.Resolver = filtertest.NewZone(t, world)
	a := filtertest.New[gate](t, env, rdns.Kind, "missing: false")
	b := filtertest.New[gate](t, env, rdns.Kind, "exempt: [192.0.2.0/24]")
	c := filtertest.New[gate](t, env, rdns.Kind, "generic_words: [mail]\ntrusted_words: []")
	s := session(t, "192.0.2.1")
	for _, f := range []gate{a, b, c} {
		f.Connect(t.Context(), s)
	}
	if got := rcpt(t, a, s) + ", " + rcpt(t, b, s) + ", " + rcpt(t, c, s); got != "continue, continue, "+generic {
		t.Error(got)
	}
}

func TestExemptDoesNotAllocate(t *testing.T) {
	f, _ := newGate(t, world, "")
	s := session(t, "10.0.0.1")
	tx := &filters.Transaction{Session: s}
	to := filtertest.Path("b@example.org")
	n := testing.AllocsPerRun(100, func() {
		f.Connect(context.Background(), s)
		f.Rcpt(context.Background(), tx, to)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestBadOptions(t *testing.T) {
	env, _ := filtertest.Env("")
	for options, want := range map[string]string{
		"at: data":                 `want connect, helo, mail or rcpt, got "data"`,
		"missing: maybe":           "want true, false or ignore",
		"generic_words: [dial-up]": "is not a word",
		"trusted_words: ['']":      "is not a word",
	} {
		if _, err := filtertest.Build(env, rdns.Kind, options); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("{%s}: %v", options, err)
		}
	}
}
