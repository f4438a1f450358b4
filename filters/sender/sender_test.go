package sender_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/filtertest"
	"github.com/mailweir/mailweir/filters/sender"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	notFQDN       = "550 5.1.8 sender_not_fqdn"
	unknownDomain = "550 5.1.8 sender_unknown_domain"
	noMailHost    = "550 5.1.8 sender_no_mail_host"
	nullMX        = "550 5.7.27 sender_null_mx"
	bogusMX       = "550 5.1.8 sender_bogus_mx"
	client        = "192.0.2.1"
)

// world is what the DNS says about the senders of the tests.
const world = `
good.example MX 20 mx2.good.example.
good.example MX 10 MX1.good.example.
mx1.good.example A 8.8.8.8
mx2.good.example A 8.8.4.4
six.example MX 10 mx.six.example.
mx.six.example AAAA 2001:4860:4860::8888
implicit.example A 8.8.8.8
implicit6.example AAAA 2001:4860:4860::8888
xn--exmple-cua.example MX 10 mx1.good.example.
nothing.example TXT "no mail"
null.example MX 0 .
odd.example MX 0 .
odd.example MX 10 mx1.good.example.
private.example MX 10 mx.private.example.
mx.private.example A 10.0.0.1
mx.private.example AAAA fd00::1
mixed.example MX 10 mx.private.example.
mixed.example MX 20 mx2.good.example.
local.example MX 10 localhost.
localhost A 127.0.0.1
localhost AAAA ::1
docs.example A 192.0.2.25
docs6.example AAAA 2001:db8::25
rented.example A 198.100.0.1
hostless.example MX 10 mx.gone.example.
literal.example MX 10 8.8.8.8.
badliteral.example MX 10 127.0.0.1.
spaced.example MX 10 a\032b.example.
broken.example SERVFAIL
brokenmx.example MX 10 mx.broken.example.
brokenmx.example MX 20 mx.private.example.
brokengood.example MX 10 mx.broken.example.
brokengood.example MX 20 mx1.good.example.
`

type gate interface {
	filters.MailFilter
	filters.RcptFilter
}

func newGate(t *testing.T, zone, options string) (gate, *filtertest.Zone) {
	t.Helper()
	env, _ := filtertest.Env("")
	z := filtertest.NewZone(t, zone)
	env.Resolver = z
	return filtertest.New[gate](t, env, sender.Kind, options), z
}

func from(t *testing.T, client, address string) *filters.Transaction {
	tx := &filters.Transaction{Session: filtertest.Session(client), From: filtertest.Path(address)}
	tx.Begin(t.Context())
	t.Cleanup(tx.End)
	return tx
}

func rcpt(t *testing.T, f gate, tx *filters.Transaction) filters.Verdict {
	return f.Rcpt(t.Context(), tx, filtertest.Path("b@example.org"))
}

// ask returns what two recipients of the transaction get to hear.
func ask(t *testing.T, f gate, tx *filters.Transaction) string {
	t.Helper()
	if v := f.Mail(t.Context(), tx); v != (filters.Verdict{}) {
		t.Errorf("%s is told at MAIL: %s", tx.From.Raw, filtertest.Show(v))
	}
	first, second := show(rcpt(t, f, tx)), show(rcpt(t, f, tx))
	if first != second {
		t.Errorf("%s: one recipient gets %s, another %s", tx.From.Raw, first, second)
	}
	return first
}

func show(v filters.Verdict) string {
	if v.Finding != nil && v.Finding.Observed {
		return filtertest.Show(v) + " observed"
	}
	return filtertest.Show(v)
}

func fact(t *testing.T, tx *filters.Transaction) string {
	switch hosts, err := sender.MX.Get(t.Context(), tx); {
	case errors.Is(err, filters.ErrNoFact):
		return "unset"
	case err != nil:
		return "error"
	default:
		return strings.Join(hosts, " ")
	}
}

func TestVerdicts(t *testing.T) {
	const failed = ": the name servers failed"
	for _, c := range []struct{ options, from, want, mx string }{
		{"", "a@good.example", "continue", "mx1.good.example mx2.good.example"},
		{"", "a@Good.Example.", "continue", "mx1.good.example mx2.good.example"},
		{"", "a@six.example", "continue", "mx.six.example"},
		{"", "a@implicit.example", "continue", ""},
		{"", "a@implicit6.example", "continue", ""},
		{"", "a@exämple.example", "continue", "mx1.good.example"},
		{"", "a@literal.example", "continue", "8.8.8.8"},
		{"", "a@mixed.example", "continue", "mx.private.example mx2.good.example"},
		{"", "a@odd.example", "continue", "mx1.good.example"},

		{"", "", "continue", "unset"},
		{"", "postmaster", "continue", "unset"},
		{"", "a@[192.0.2.1]", "continue", "unset"},
		{"", "a@[IPv6:2001:db8::1]", "continue", "unset"},

		{"", "a@localhost", notFQDN, "unset"},
		{"", "a@localhost.", notFQDN, "unset"},
		{"not_fqdn: false", "a@localhost", "continue", "unset"},
		{"not_fqdn: ignore", "a@localhost", notFQDN + " observed", "unset"},

		{"", "a@gone.example", unknownDomain, ""},
		{"", "a@a..example", unknownDomain, ""},
		{"", "a@b c.example", unknownDomain, ""},
		{"unknown_domain: false", "a@gone.example", "continue", ""},
		{"unknown_domain: ignore", "a@gone.example", unknownDomain + " observed", ""},

		{"", "a@nothing.example", noMailHost, ""},
		{"unknown_domain: false", "a@nothing.example", "continue", ""},

		{"", "a@null.example", nullMX, ""},
		{"null_mx: false", "a@null.example", "continue", ""},
		{"null_mx: ignore", "a@null.example", nullMX + " observed", ""},

		{"", "a@private.example", bogusMX, "mx.private.example"},
		{"", "a@local.example", bogusMX, "localhost"},
		{"", "a@docs.example", bogusMX, ""},
		{"", "a@docs6.example", bogusMX, ""},
		{"", "a@hostless.example", bogusMX, "mx.gone.example"},
		{"", "a@badliteral.example", bogusMX, "127.0.0.1"},
		{"", "a@spaced.example", bogusMX, ""},
		{"bogus_mx: false", "a@private.example", "continue", "mx.private.example"},
		{"bogus_mx: false", "a@docs.example", "continue", ""},
		{"bogus_mx: ignore", "a@private.example", bogusMX + " observed", "mx.private.example"},
		{"bogus_networks: [198.100.0.0/16]", "a@rented.example", bogusMX, ""},
		{"{bogus_networks: [198.100.0.0/16], allowed_networks: [198.100.0.1]}", "a@rented.example", "continue", ""},
		{"allowed_networks: [10.0.0.0/8]", "a@private.example", "continue", "mx.private.example"},

		{"", "a@broken.example", "error MX broken.example" + failed, "error"},
		{"{unknown_domain: ignore, null_mx: ignore, bogus_mx: ignore}", "a@broken.example", "error MX broken.example" + failed + " observed", "error"},
		{"{unknown_domain: false, null_mx: false, bogus_mx: false}", "a@broken.example", "continue", "error"},
		{"bogus_mx: ignore", "a@broken.example", "error MX broken.example" + failed, "error"},
		{"", "a@brokenmx.example", "error A mx.broken.example" + failed, "mx.broken.example mx.private.example"},
		{"bogus_mx: false", "a@brokenmx.example", "continue", "mx.broken.example mx.private.example"},
		{"", "a@brokengood.example", "continue", "mx.broken.example mx1.good.example"},
	} {
		f, _ := newGate(t, world, c.options)
		tx := from(t, client, c.from)
		got := strings.Replace(ask(t, f, tx), "error AAAA", "error A", 1) // whichever came last
		if got != c.want {
			t.Errorf("{%s} %s: %s, want %s", c.options, c.from, got, c.want)
		}
		if mx := fact(t, tx); mx != c.mx {
			t.Errorf("{%s} %s: sender.mx %q, want %q", c.options, c.from, mx, c.mx)
		}
	}
}

func TestWhoIsNotTested(t *testing.T) {
	for _, c := range []struct{ options, client, user, want string }{
		{"", client, "", unknownDomain},
		{"", client, "alice", "continue"},
		{"", "127.0.0.1", "", "continue"},
		{"", "10.0.0.1", "", "continue"},
		{"", "::ffff:10.0.0.1", "", "continue"},
		{"exempt: []", "10.0.0.1", "", unknownDomain},
		{"exempt: [192.0.2.0/24]", client, "", "continue"},
	} {
		f, z := newGate(t, world, c.options)
		tx := from(t, c.client, "a@gone.example")
		tx.Session.AuthUser = c.user
		if got := ask(t, f, tx); got != c.want {
			t.Errorf("{%s} %s %q: %s, want %s", c.options, c.client, c.user, got, c.want)
		}
		if n := z.Asked("gone.example", filters.TypeMX); (n > 0) != (c.want != "continue") {
			t.Errorf("{%s} %s %q: asked %d times", c.options, c.client, c.user, n)
		}
	}
}

func TestWithoutResolver(t *testing.T) {
	env, _ := filtertest.Env("")
	f := filtertest.New[gate](t, env, sender.Kind, "")
	for address, want := range map[string]string{"a@gone.example": "continue", "a@localhost": notFQDN} {
		if got := ask(t, f, from(t, client, address)); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}

// TestHalfKnown tells what is known of an implicit mail host when one of its
// look-ups failed.
func TestHalfKnown(t *testing.T) {
	for _, c := range []struct{ a, options, want string }{
		{"8.8.8.8", "", "continue"},
		{"10.0.0.1", "", "error AAAA half.example: the name servers failed"},
		{"10.0.0.1", "bogus_mx: false", "continue"},
		{"", "", "error AAAA half.example: the name servers failed"},
		{"", "{unknown_domain: false, bogus_mx: false}", "continue"},
	} {
		env, _ := filtertest.Env("")
		env.Resolver = half{filtertest.NewZone(t, "half.example TXT x\n")}
		if c.a != "" {
			env.Resolver = half{filtertest.NewZone(t, "half.example A "+c.a)}
		}
		f := filtertest.New[gate](t, env, sender.Kind, c.options)
		if got := ask(t, f, from(t, client, "a@half.example")); got != c.want {
			t.Errorf("{%s} with %q: %s, want %s", c.options, c.a, got, c.want)
		}
	}
}

// half is a resolver that fails for IPv6.
type half struct{ *filtertest.Zone }

func (h half) Lookup(ctx context.Context, q filters.Question) (filters.Answer, error) {
	if q.Type == filters.TypeAAAA {
		return filters.Answer{}, &filters.DNSError{Question: q, Err: filters.ErrServFail}
	}
	return h.Zone.Lookup(ctx, q)
}

func TestBoundedHosts(t *testing.T) {
	var zone strings.Builder
	for i := range 100 {
		fmt.Fprintf(&zone, "many.example MX %d mx%d.example.\n", i, i)
	}
	f, z := newGate(t, zone.String(), "")
	tx := from(t, client, "a@many.example")
	if got := ask(t, f, tx); got != bogusMX {
		t.Error(got)
	}
	if n := len(strings.Fields(fact(t, tx))); n != 10 {
		t.Errorf("sender.mx has %d hosts", n)
	}
	asked := 0
	for i := range 100 {
		asked += z.Asked(fmt.Sprintf("mx%d.example", i), filters.TypeA)
	}
	if asked != 10 {
		t.Errorf("%d hosts were looked up", asked)
	}
}

func TestReplyIsSafe(t *testing.T) {
	f, _ := newGate(t, "", "")
	v := rcpt(t, f, from(t, client, "a@\r\n\x00ä"+strings.Repeat("x", 1000)))
	if text := v.Finding.Reply.Text; len(text) > 200 || strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c > '~' }) {
		t.Errorf("%q", text)
	}
}

// TestSilence holds a silent DNS to no more than the timeout, counted from MAIL
// on and for all recipients together.
func TestSilence(t *testing.T) {
	for _, c := range []struct{ zone, want string }{
		{"a.example DROP", "MX a.example"},
		{"a.example MX 10 mx.b.example.\nb.example DROP", "A mx.b.example"},
	} {
		f, _ := newGate(t, c.zone, "")
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			got := strings.Replace(ask(t, f, from(t, client, "a@a.example")), "error AAAA", "error A", 1)
			if want := "error " + c.want + ": the name servers are silent"; got != want {
				t.Errorf("%s, want %s", got, want)
			}
			if took := time.Since(began); took < 4*time.Second || took >= 5*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

// TestOverlap lets the dialogue go on while the look-ups are under way, makes
// those of the hosts at once, and does not wait for what cannot matter.
func TestOverlap(t *testing.T) {
	f, _ := newGate(t, `
a.example MX 10 slow.c.example.
a.example MX 20 fast.c.example.
a.example MX 30 silent.c.example.
a.example DELAY 1s
slow.c.example DELAY 3s
fast.c.example DELAY 1s
silent.c.example DROP
fast.c.example A 8.8.8.8
`, "")
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		tx := from(t, client, "x@a.example")
		f.Mail(t.Context(), tx)
		if took := time.Since(began); took != 0 {
			t.Errorf("MAIL took %v", took)
		}
		time.Sleep(time.Second)
		if got := show(rcpt(t, f, tx)); got != "continue" {
			t.Error(got)
		}
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// TestEndOfTransaction leaves nothing behind.
func TestEndOfTransaction(t *testing.T) {
	f, _ := newGate(t, ". DROP", "")
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		tx := &filters.Transaction{Session: filtertest.Session(client), From: filtertest.Path("a@a.example")}
		tx.Begin(t.Context())
		f.Mail(t.Context(), tx)
		tx.End()
		if took := time.Since(began); took != 0 {
			t.Errorf("took %v", took)
		}
	})
}

func TestTwoEntries(t *testing.T) {
	env, _ := filtertest.Env("")
	env.Resolver = filtertest.NewZone(t, world)
	a := filtertest.New[gate](t, env, sender.Kind, "allowed_networks: [10.0.0.0/8]")
	b := filtertest.New[gate](t, env, sender.Kind, "")
	tx := from(t, client, "a@private.example")
	a.Mail(t.Context(), tx)
	b.Mail(t.Context(), tx)
	if got := show(rcpt(t, a, tx)) + ", " + show(rcpt(t, b, tx)); got != "continue, "+bogusMX {
		t.Error(got)
	}
}

func TestNothingToDoDoesNotAllocate(t *testing.T) {
	f, _ := newGate(t, world, "")
	to := filtertest.Path("b@example.org")
	for _, tx := range []*filters.Transaction{
		from(t, client, ""),
		from(t, client, "a@[192.0.2.1]"),
		from(t, "10.0.0.1", "a@good.example"),
	} {
		n := testing.AllocsPerRun(100, func() {
			f.Mail(context.Background(), tx)
			f.Rcpt(context.Background(), tx, to)
		})
		if n != 0 {
			t.Errorf("%s: %v allocations", tx.From.Raw, n)
		}
	}
}
