package helo_test

import (
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/filtertest"
	"github.com/mailweir/mailweir/filters/helo"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	unresolvable   = "550 5.7.1 helo_unresolvable"
	clientMismatch = "550 5.7.1 helo_client_mismatch"
	ownAddress     = "550 5.7.1 helo_own_address"
)

// world is what the DNS says about the names of the tests. Our own address is
// 203.0.113.25.
const world = `
mail.example.com A 198.51.100.7
mail.example.com A 192.0.2.1
mail.example.com AAAA 2001:db8::1
other.example.com A 198.51.100.7
six.example.com AAAA 2001:db8::1
mx.example.com MX 10 mail.example.com.
text.example.com TXT nothing
ours.example.net A 203.0.113.25
my_host.example.com A 192.0.2.1
broken.example.com SERVFAIL
`

type gate interface {
	filters.HeloFilter
	filters.MailFilter
}

func newGate(t *testing.T, zone, options string, timeout time.Duration) (gate, *filtertest.Zone) {
	t.Helper()
	env, _ := filtertest.Env("")
	z := filtertest.NewZone(t, zone)
	env.Resolver, env.Timeout = z, timeout
	return filtertest.New[gate](t, env, helo.Kind, options), z
}

func session(t *testing.T, client string) *filters.Session {
	s := filtertest.Session(client)
	s.Begin(t.Context())
	t.Cleanup(s.End)
	return s
}

func greet(t *testing.T, f gate, s *filters.Session, name string) {
	t.Helper()
	s.Helo, s.ESMTP = name, true
	if v := f.Helo(t.Context(), s); v != (filters.Verdict{}) {
		t.Errorf("%s is told at HELO: %s", name, filtertest.Show(v))
	}
}

func mail(t *testing.T, f gate, s *filters.Session) string {
	v := f.Mail(t.Context(), &filters.Transaction{Session: s})
	if v.Finding != nil && v.Finding.Observed {
		return filtertest.Show(v) + " observed"
	}
	return filtertest.Show(v)
}

func TestDNS(t *testing.T) {
	const (
		all      = "{resolves: true, matches_client: true, own_address: true}"
		resolves = "{resolves: true, matches_client: false, own_address: false}"
		matches  = "{resolves: false, matches_client: true, own_address: false}"
		own      = "{resolves: false, matches_client: false, own_address: true}"
		off      = "{resolves: false, matches_client: false, own_address: false}"
		failed   = "error A broken.example.com: the name servers failed"
	)
	for _, c := range []struct{ options, client, name, want string }{
		{all, client4, "mail.example.com", "continue"},
		{all, client4, "Mail.Example.com.", "continue"},
		{all, client6, "mail.example.com", "continue"},
		{all, "::ffff:192.0.2.1", "mail.example.com", "continue"},
		{all, client4, "my_host.example.com", "continue"},
		{all, client4, "[192.0.2.1]", "continue"},
		{all, client4, "gone.example.com", unresolvable},
		{all, client4, "text.example.com", unresolvable},
		{all, client4, "other.example.com", clientMismatch},
		{all, client4, "six.example.com", clientMismatch},
		{all, client4, "mx.example.com", clientMismatch},
		{all, client4, "ours.example.net", ownAddress},
		{all, client4, "broken.example.com", failed},
		{all, "127.0.0.1", "gone.example.com", "continue"},
		{all, "203.0.113.25", "ours.example.net", "continue"},

		{resolves, client4, "other.example.com", "continue"},
		{resolves, client4, "six.example.com", "continue"},
		{resolves, client4, "mx.example.com", "continue"},
		{resolves, client4, "gone.example.com", unresolvable},
		{resolves, client4, "broken.example.com", failed},
		{matches, client4, "mail.example.com", "continue"},
		{matches, client4, "gone.example.com", clientMismatch},
		{matches, client4, "broken.example.com", failed},
		{own, client4, "gone.example.com", "continue"},
		{own, client4, "other.example.com", "continue"},
		{own, client4, "ours.example.net", ownAddress},
		{own, client4, "broken.example.com", failed},
		{own, "203.0.113.25", "broken.example.com", "continue"},
		{off, client4, "gone.example.com", "continue"},

		{"", client4, "gone.example.com", unresolvable + " observed"},
		{"", client4, "other.example.com", clientMismatch + " observed"},
		{"", client4, "ours.example.net", ownAddress + " observed"},
		{"", client4, "broken.example.com", failed + " observed"},
		{"matches_client: true", client4, "ours.example.net", clientMismatch},
		{"matches_client: true", client4, "gone.example.com", clientMismatch},
		{"own_address: true", client4, "gone.example.com", unresolvable + " observed"},
		{"fqdn: false", client4, "localhost", "continue"},
	} {
		for _, known := range knowledge {
			f := gateBy(t, filtertest.NewZone(t, world), c.options, known)
			s := session(t, c.client)
			greet(t, f, s, c.name)
			for range 2 {
				got := mail(t, f, s)
				for _, typ := range []string{"AAAA", "MX"} { // whichever came last
					if got == "error "+typ+failed[len("error A"):] {
						got = failed
					}
				}
				if got != c.want {
					t.Errorf("{%s} %s greets as %s: %s, want %s, when %v are known", c.options, c.client, c.name, got, c.want, known)
				}
			}
		}
	}
}

// TestPartsFail tells what is known when some of the look-ups fail.
func TestPartsFail(t *testing.T) {
	for _, c := range []struct {
		fails   filters.RecordType
		options string
		name    string
		want    string
	}{
		{filters.TypeMX, "resolves: true", "mail.example.com", "continue"},
		{filters.TypeMX, "resolves: true", "gone.example.com", "error MX gone.example.com: the name servers failed"},
		{filters.TypeMX, "{resolves: true, matches_client: true}", "gone.example.com", clientMismatch},
		{filters.TypeMX, "{resolves: true, matches_client: ignore}", "gone.example.com", "error MX gone.example.com: the name servers failed"},
		{filters.TypeA, "{resolves: true, matches_client: false, own_address: false}", "six.example.com", "continue"},
		{filters.TypeA, "{resolves: true, matches_client: true}", "six.example.com", "error A six.example.com: the name servers failed"},
	} {
		for _, known := range knowledge {
			f := gateBy(t, partial{filtertest.NewZone(t, world), c.fails}, c.options, known)
			s := session(t, client4)
			greet(t, f, s, c.name)
			if got := mail(t, f, s); got != c.want {
				t.Errorf("{%s} %s without %v: %s, want %s, when %v are known", c.options, c.name, c.fails, got, c.want, known)
			}
		}
	}
}

// partial is a resolver that fails for one type.
type partial struct {
	*filtertest.Zone
	fails filters.RecordType
}

func (p partial) Lookup(ctx context.Context, q filters.Question) (filters.Answer, error) {
	if q.Type == p.fails {
		return filters.Answer{}, &filters.DNSError{Question: q, Err: filters.ErrServFail}
	}
	return p.Zone.Lookup(ctx, q)
}

func TestDNSStages(t *testing.T) {
	for options, want := range map[string]string{
		"": "helo mail",
		"{resolves: false, matches_client: false, own_address: false}":  "helo",
		"{resolves: false, matches_client: false, own_address: ignore}": "helo mail",
	} {
		f, _ := newGate(t, world, options, 0)
		if got := filters.StagesOf(f).String(); got != want {
			t.Errorf("{%s}: %s, want %s", options, got, want)
		}
	}
	if got := filters.StagesOf(newFilter(t, "resolves: true")).String(); got != "helo" {
		t.Errorf("without a resolver: %s", got)
	}
}

func TestWhoIsNotLookedUp(t *testing.T) {
	f, z := newGate(t, world, "{resolves: true, syntax: false, fqdn: false, bare_address: false, literal: false}", 0)
	for _, name := range []string{"localhost", "[192.0.2.1]", "[192.0.2.2]", "192.0.2.1", "a..example.com", ""} {
		s := session(t, client4)
		greet(t, f, s, name)
		if got := mail(t, f, s); got != "continue" || z.Asked(name, filters.TypeA) != 0 {
			t.Errorf("%s: %s, asked %d times", name, got, z.Asked(name, filters.TypeA))
		}
	}
	s := session(t, client4)
	s.Client = netip.AddrPort{}
	greet(t, f, s, "gone.example.com")
	if got := mail(t, f, s); got != "continue" {
		t.Errorf("client without an address: %s", got)
	}
	s = session(t, client4)
	greet(t, f, s, "gone.example.com")
	s.AuthUser = "alice"
	if got := mail(t, f, s); got != "continue" {
		t.Errorf("client that has logged in: %s", got)
	}
}

// TestNewHELO judges only the name in force, and by what that is.
func TestNewHELO(t *testing.T) {
	f, _ := newGate(t, world+"silent.example.com DROP\n", "resolves: true", 0)
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		s := session(t, client4)
		for _, c := range []struct{ name, want string }{
			{"gone.example.com", unresolvable},
			{"mail.example.com", "continue"},
			{"silent.example.com", ""},
			{"gone.example.com", unresolvable},
			{"silent.example.com", ""},
			{"[192.0.2.1]", "continue"},
		} {
			greet(t, f, s, c.name)
			if c.want == "" {
				continue
			}
			if got := mail(t, f, s); got != c.want {
				t.Errorf("%s: %s, want %s", c.name, got, c.want)
			}
		}
		s.Helo = "-"
		if got := filtertest.Show(f.Helo(t.Context(), s)); got != syntax {
			t.Error(got)
		}
		if got := mail(t, f, s); got != "continue" {
			t.Errorf("after a HELO that is refused: %s", got)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("took %v", took)
		}
	})
}

// TestManyHELOs bounds what a client can make us look up at a time.
func TestManyHELOs(t *testing.T) {
	f, _ := newGate(t, ". DROP", "", 0)
	synctest.Test(t, func(t *testing.T) {
		s := session(t, client4)
		greet(t, f, s, "first.example.com")
		synctest.Wait()
		one := runtime.NumGoroutine()
		for i := range 100 {
			greet(t, f, s, fmt.Sprintf("h%d.example.com", i))
		}
		synctest.Wait()
		if many := runtime.NumGoroutine(); many > one+10 { // others come and go
			t.Errorf("%d goroutines after one HELO, %d after many", one, many)
		}
	})
}

// TestDNSTakesTime holds a silent DNS to the time there is, and lets the
// dialogue go on meanwhile.
func TestDNSTakesTime(t *testing.T) {
	for _, c := range []struct {
		zone              string
		timeout, at, most time.Duration
		want              string
	}{
		{"a.example.com DROP", 0, 5 * time.Second, 5 * time.Second, "error A a.example.com: the name servers are silent"},
		{"a.example.com DROP", 2 * time.Second, time.Second, 2 * time.Second, "error A a.example.com: the name servers are silent"},
		{"a.example.com DELAY 3s\na.example.com A 192.0.2.1", 0, 3 * time.Second, 3 * time.Second, "continue"},
	} {
		f, _ := newGate(t, c.zone, "{resolves: false, matches_client: true}", c.timeout)
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			s := session(t, client4)
			greet(t, f, s, "a.example.com")
			if took := time.Since(began); took != 0 {
				t.Errorf("HELO took %v", took)
			}
			time.Sleep(time.Second)
			for range 2 {
				if got := mail(t, f, s); got != c.want {
					t.Errorf("%s, want %s", got, c.want)
				}
			}
			if took := time.Since(began); took < c.at || took > c.most {
				t.Errorf("took %v", took)
			}
		})
	}
}

// TestDNSDoesNotWaitInVain ends when the other answers cannot matter.
func TestDNSDoesNotWaitInVain(t *testing.T) {
	env, _ := filtertest.Env("")
	env.Resolver = silent6{filtertest.NewZone(t, world)}
	f := filtertest.New[gate](t, env, helo.Kind, "{resolves: true, matches_client: true}")
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		s := session(t, client4)
		greet(t, f, s, "mail.example.com")
		if got := mail(t, f, s); got != "continue" {
			t.Error(got)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("took %v", took)
		}
	})
}

// silent6 is a resolver whose servers do not answer about IPv6.
type silent6 struct{ *filtertest.Zone }

func (z silent6) Lookup(ctx context.Context, q filters.Question) (filters.Answer, error) {
	if q.Type == filters.TypeAAAA {
		<-ctx.Done()
		return filters.Answer{}, &filters.DNSError{Question: q, Err: filters.ErrDNSTimeout}
	}
	return z.Zone.Lookup(ctx, q)
}

func TestWithoutDNSDoesNotAllocate(t *testing.T) {
	f, _ := newGate(t, world, "{resolves: false, matches_client: false, own_address: false}", 0)
	exempt, _ := newGate(t, world, "exempt: [192.0.2.0/24]", 0)
	s := session(t, client4)
	s.Helo = "mail.example.com"
	tx := &filters.Transaction{Session: s}
	n := testing.AllocsPerRun(100, func() {
		for _, f := range []gate{f, exempt} {
			f.Helo(context.Background(), s)
			f.Mail(context.Background(), tx)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}
