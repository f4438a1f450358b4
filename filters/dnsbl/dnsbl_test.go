package dnsbl_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/dnsbl"
	"github.com/mailweir/mailweir/filters/filtertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// inOrder are the test entries of lists that are in order: bl.example and
// other.example of addresses, rhs.example of domains, allow.example.
const inOrder = `
2.0.0.127.bl.example     A 127.0.0.2
2.0.0.127.other.example  A 127.0.0.2
2.0.0.127.allow.example  A 127.0.0.2
test.rhs.example         A 127.0.0.2
` + entry6 + `.bl.example A 127.0.0.2
`

const entry6 = "2.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0"

// bench is a filter with all that is around it.
type bench struct {
	filters.Filter
	zone *filtertest.Zone
	log  *filtertest.Log
	env  filters.Env
}

// newBench makes a filter whose resolver knows those records, and the clock
// of the bubble, if there is one.
func newBench(t testing.TB, options, records string) *bench {
	t.Helper()
	return newBenchWith(t, options, filtertest.NewZone(t, inOrder+records), nil)
}

func newBenchWith(t testing.TB, options string, zone *filtertest.Zone, change func(*filters.Env)) *bench {
	t.Helper()
	env, log := filtertest.Env("")
	env.Resolver, env.Now, env.Timeout = zone, time.Now, 5*time.Second
	if change != nil {
		change(&env)
	}
	f := filtertest.New[filters.Filter](t, env, dnsbl.Kind, options)
	return &bench{f, zone, log, env}
}

// meet plays a session up to DATA and returns the first verdict.
func (b *bench) meet(client, helo, from string) filters.Verdict {
	s := filtertest.Session(client)
	ctx := context.Background()
	s.Begin(ctx)
	defer s.End()
	return b.talk(ctx, s, helo, from)
}

func (b *bench) talk(ctx context.Context, s *filters.Session, helo, from string) filters.Verdict {
	stages := filters.StagesOf(b.Filter)
	if v := b.Filter.(filters.ConnectFilter).Connect(ctx, s); v != (filters.Verdict{}) {
		return v
	}
	s.Helo = helo
	if stages.Has(filters.Helo) {
		if v := b.Filter.(filters.HeloFilter).Helo(ctx, s); v != (filters.Verdict{}) {
			return v
		}
	}
	return b.transact(ctx, s, from)
}

func (b *bench) transact(ctx context.Context, s *filters.Session, from string) (v filters.Verdict) {
	stages := filters.StagesOf(b.Filter)
	tx := &filters.Transaction{Session: s, From: filtertest.Path(from)}
	tx.Begin(ctx)
	defer tx.End()
	if stages.Has(filters.Mail) {
		v = b.Filter.(filters.MailFilter).Mail(ctx, tx)
	}
	for range 2 {
		if stages.Has(filters.Rcpt) && v == (filters.Verdict{}) {
			v = b.Filter.(filters.RcptFilter).Rcpt(ctx, tx, filtertest.Path("bob@example.org"))
		}
	}
	if stages.Has(filters.Data) && v == (filters.Verdict{}) {
		v = b.Filter.(filters.DataFilter).Data(ctx, tx)
	}
	return v
}

// ask is meet for a client alone; it spells the verdict.
func (b *bench) ask(client string) string { return show(b.meet(client, "", "alice@example.com")) }

// show spells a verdict as its reply.
func show(v filters.Verdict) string {
	if v == (filters.Verdict{}) {
		return "continue"
	}
	return fmt.Sprintf("%v %s %s", v.Action, v.Finding.Reason, v.Finding.Reply)
}

const (
	client4  = "192.0.2.1"
	client6  = "2001:db8::1"
	reverse4 = "1.2.0.192"
	reverse6 = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2"
)

func listed(text string) string { return "reject dnsbl 550 5.7.1 " + text }

func TestVerdicts(t *testing.T) {
	for name, c := range map[string]struct {
		options, records string
		client           string
		helo, from       string
		want             string
	}{
		"nobody lists it":   {options: `{zones: [bl.example], threshold: 1}`, want: "continue"},
		"listed":            {options: `{zones: [bl.example], threshold: 1}`, records: reverse4 + ".bl.example A 127.0.0.2", want: listed("192.0.2.1 is listed by bl.example: 127.0.0.2")},
		"below":             {options: `{zones: [bl.example], threshold: 2}`, records: reverse4 + ".bl.example A 127.0.0.2", want: "continue"},
		"mapped is IPv4":    {options: `{zones: [bl.example], threshold: 1}`, client: "::ffff:192.0.2.1", records: reverse4 + ".bl.example A 127.0.0.2", want: listed("192.0.2.1 is listed by bl.example: 127.0.0.2")},
		"IPv6 not asked":    {options: `{zones: [bl.example], threshold: 1}`, client: client6, records: reverse6 + ".bl.example A 127.0.0.2", want: "continue"},
		"IPv6":              {options: `{zones: [{zone: bl.example, ipv6: true}], threshold: 1}`, client: client6, records: reverse6 + ".bl.example A 127.0.0.2", want: listed("2001:db8::1 is listed by bl.example: 127.0.0.2")},
		"IPv4 not asked":    {options: `{zones: [{zone: bl.example, ipv4: false, ipv6: true}], threshold: 1}`, records: reverse4 + ".bl.example A 127.0.0.2", want: "continue"},
		"exempt":            {options: `{zones: [bl.example], threshold: 1, exempt: [192.0.2.0/24]}`, records: reverse4 + ".bl.example A 127.0.0.2", want: "continue"},
		"private":           {options: `{zones: [bl.example], threshold: 1}`, client: "10.0.0.1", records: "1.0.0.10.bl.example A 127.0.0.2", want: "continue"},
		"canary as client":  {options: `{zones: [{zone: bl.example, self_test: false}], threshold: 1, exempt: []}`, client: "127.0.0.1", records: "1.0.0.127.bl.example A 127.0.0.2", want: "continue"},
		"weights add up":    {options: `{zones: [{zone: bl.example, weight: 2}, {zone: other.example, weight: 3}], threshold: 5}`, records: reverse4 + ".bl.example A 127.0.0.2\n" + reverse4 + ".other.example A 127.0.0.3", want: listed("192.0.2.1 is listed by other.example: 127.0.0.3")},
		"allow list":        {options: `{zones: [{zone: bl.example, weight: 2}, {zone: allow.example, weight: -1}], threshold: 2}`, records: reverse4 + ".bl.example A 127.0.0.2\n" + reverse4 + ".allow.example A 127.0.0.2", want: "continue"},
		"answers":           {options: `{zones: [{zone: bl.example, answers: [{match: "127.0.0.[2..4]", weight: 1, meaning: spam}, {match: 127.0.0.9, weight: 2, meaning: worse}]}], threshold: 3}`, records: reverse4 + ".bl.example A 127.0.0.2\n" + reverse4 + ".bl.example A 127.0.0.3\n" + reverse4 + ".bl.example A 127.0.0.9", want: listed("192.0.2.1 is listed by bl.example: worse; spam")},
		"rules count once":  {options: `{zones: [{zone: bl.example, answers: [{match: "127.0.0.[2..4]", weight: 1}]}], threshold: 2}`, records: reverse4 + ".bl.example A 127.0.0.2\n" + reverse4 + ".bl.example A 127.0.0.3", want: "continue"},
		"other answers":     {options: `{zones: [{zone: bl.example, answers: [{match: 127.0.0.2}]}], threshold: 1}`, records: reverse4 + ".bl.example A 127.0.0.3", want: "continue"},
		"weight of answers": {options: `{zones: [{zone: bl.example, weight: 3, answers: [{match: 127.0.0.2}]}], threshold: 3}`, records: reverse4 + ".bl.example A 127.0.0.2", want: listed("192.0.2.1 is listed by bl.example: 127.0.0.2")},
		"bits":              {options: `{zones: [{zone: bl.example, answers: [{match: 127.0.0.&2, weight: 1}, {match: 127.0.0.&8, weight: 1}]}], threshold: 2}`, records: reverse4 + ".bl.example A 127.0.0.10", want: listed("192.0.2.1 is listed by bl.example: 127.0.0.10")},
		"helo":              {options: `{zones: [{zone: rhs.example, check: [helo]}], threshold: 1}`, helo: "Mail.Spam.example.", records: "mail.spam.example.rhs.example A 127.0.0.2", want: listed("mail.spam.example is listed by rhs.example: 127.0.0.2")},
		"helo settles":      {options: `{zones: [{zone: rhs.example, check: [helo]}], threshold: 1, at: helo}`, helo: "mail.spam.example", records: "mail.spam.example.rhs.example A 127.0.0.2", want: listed("mail.spam.example is listed by rhs.example: 127.0.0.2")},
		"sender":            {options: `{zones: [{zone: rhs.example, check: [sender]}], threshold: 1}`, from: "a@spam.example", records: "spam.example.rhs.example A 127.0.0.2", want: listed("spam.example is listed by rhs.example: 127.0.0.2")},
		"sender, U-labels":  {options: `{zones: [{zone: rhs.example, check: [sender]}], threshold: 1, at: mail}`, from: "a@exämple.example", records: "xn--exmple-cua.example.rhs.example A 127.0.0.2", want: listed("xn--exmple-cua.example is listed by rhs.example: 127.0.0.2")},
		"null sender":       {options: `{zones: [{zone: rhs.example, check: [sender]}], threshold: 1}`, records: "*.rhs.example A 127.0.0.2", want: "continue"},
		"helo and sender":   {options: `{zones: [{zone: rhs.example, check: [helo, sender]}], threshold: 2}`, helo: "spam.example", from: "a@spam.example", records: "spam.example.rhs.example A 127.0.0.2", want: "continue"},
		"at connect":        {options: `{zones: [bl.example], threshold: 1, at: connect}`, records: reverse4 + ".bl.example A 127.0.0.2", want: listed("192.0.2.1 is listed by bl.example: 127.0.0.2")},
		"at data":           {options: `{zones: [bl.example], threshold: 1, at: data}`, records: reverse4 + ".bl.example A 127.0.0.2", want: listed("192.0.2.1 is listed by bl.example: 127.0.0.2")},
		"own reply":         {options: `{zones: [bl.example, {zone: other.example, weight: 3, reply: "{client} {subject} {zone} {answer} {meaning} {score} {helo} {sender}"}], threshold: 4}`, helo: "a.example", from: "a@a.example", records: reverse4 + ".bl.example A 127.0.0.2\n" + reverse4 + ".other.example A 127.0.0.7", want: listed("192.0.2.1 192.0.2.1 other.example 127.0.0.7 127.0.0.7 4 a.example a@a.example")},
		"text":              {options: `{zones: [bl.example], threshold: 1, reply: "See {text}"}`, records: reverse4 + ".bl.example A 127.0.0.2\n" + reverse4 + `.bl.example TXT "https://bl.example/?192.0.2.1"`, want: listed("See https://bl.example/?192.0.2.1")},
		"no text":           {options: `{zones: [bl.example], threshold: 1, reply: "See {text}"}`, records: reverse4 + ".bl.example A 127.0.0.2", want: listed("See 127.0.0.2")},
		"long text":         {options: `{zones: [bl.example], threshold: 1, reply: "{text}!"}`, records: reverse4 + ".bl.example A 127.0.0.2\n" + reverse4 + `.bl.example TXT "` + strings.Repeat("x", 250) + `"`, want: listed(strings.Repeat("x", 200) + "!")},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, c.options, c.records)
			client := c.client
			if client == "" {
				client = client4
			}
			if got := show(b.meet(client, c.helo, c.from)); got != c.want {
				t.Errorf("got  %s\nwant %s\n%s", got, c.want, b.log.Take())
			}
		})
	}
}

func TestLogDetail(t *testing.T) {
	b := newBench(t, `{zones: [{zone: bl.example, answers: [{match: 127.0.0.2, weight: 4, meaning: spam}]}, other.example, {zone: rhs.example, check: [sender], weight: 1}, {zone: dead.example, weight: -1, self_test: false}], threshold: 5}`, `
1.2.0.192.bl.example A 127.0.0.2
spam.example.rhs.example A 127.0.0.2
dead.example SERVFAIL`)
	v := b.meet(client4, "", "a@spam.example")
	const want = "score 5 of 5: bl.example 127.0.0.2 (spam) 4, rhs.example about spam.example 127.0.0.2 1, dead.example does not count (the name servers failed)"
	if v.Finding == nil || v.Finding.Err.Error() != want {
		t.Errorf("%s", show(v))
		if v.Finding != nil {
			t.Errorf("got  %v\nwant %s", v.Finding.Err, want)
		}
	}
}

// TestNeverAboutAddresses holds that lists of domains are asked about nothing
// that is an address, in whatever form.
func TestNeverAboutAddresses(t *testing.T) {
	b := newBench(t, `{zones: [{zone: rhs.example, check: [helo, sender], self_test: false}], threshold: 1}`, "*.rhs.example A 127.0.0.2")
	if got := show(b.meet(client4, "a.example", "")); !strings.HasPrefix(got, "reject") {
		t.Fatalf("all domains are listed, but %s", got)
	}
	for _, name := range []string{
		"192.0.2.1", "[192.0.2.1]", "[IPv6:2001:db8::1]", "2001:db8::1", "192.0.2.300", "1.2.3", "192.0.2.1.",
		"", ".", "localhost", "a b.example", "a..example", ".example.com", strings.Repeat("a.", 127) + "example",
	} {
		if got := show(b.meet(client4, name, "a@"+name)); got != "continue" {
			t.Errorf("%q: %s", name, got)
		}
	}
	if n := b.zone.Asked(reverse4+".rhs.example", filters.TypeA); n != 0 {
		t.Errorf("asked about an address %d times", n)
	}
}

func TestLoggedIn(t *testing.T) {
	b := newBench(t, `{zones: [bl.example], threshold: 1}`, reverse4+".bl.example A 127.0.0.2")
	s := filtertest.Session(client4)
	s.Begin(t.Context())
	defer s.End()
	s.AuthType = "PLAIN"
	if got := show(b.talk(t.Context(), s, "", "a@example.com")); got != "continue" {
		t.Error(got)
	}
}

// TestNoGreeting holds that a client that skips HELO is settled nevertheless.
func TestNoGreeting(t *testing.T) {
	b := newBench(t, `{zones: [bl.example], threshold: 1, at: helo}`, reverse4+".bl.example A 127.0.0.2")
	s := filtertest.Session(client4)
	s.Begin(t.Context())
	defer s.End()
	b.Filter.(filters.ConnectFilter).Connect(t.Context(), s)
	if got := show(b.transact(t.Context(), s, "")); !strings.HasPrefix(got, "reject") {
		t.Error(got)
	}
}

func TestFacts(t *testing.T) {
	b := newBench(t, `{zones: [{zone: bl.example, weight: 2}, {zone: other.example, weight: -1}], threshold: 9}`,
		reverse4+".bl.example A 127.0.0.2\n"+reverse4+".other.example A 127.0.0.2")
	for client, want := range map[string]string{client4: "1 [bl.example other.example]", "192.0.2.2": "0 []", "10.0.0.1": "0 []"} {
		s := filtertest.Session(client)
		s.Begin(t.Context())
		b.Filter.(filters.ConnectFilter).Connect(t.Context(), s)
		score, err := dnsbl.Score.Get(t.Context(), s)
		zones, errZones := dnsbl.Zones.Get(t.Context(), s)
		if got := fmt.Sprint(score, " ", zones); got != want || err != nil || errZones != nil {
			t.Errorf("%s: %s, %v, %v; want %s", client, got, err, errZones, want)
		}
		s.End()
	}
}

// TestOncePerTransaction holds the questions, and the verdict, to one time.
func TestOncePerTransaction(t *testing.T) {
	b := newBench(t, `{zones: [bl.example, {zone: rhs.example, check: [helo, sender]}], threshold: 1}`, "")
	s := filtertest.Session(client4)
	s.Begin(t.Context())
	defer s.End()
	b.talk(t.Context(), s, "mail.example.com", "a@a.example")
	b.Filter.(filters.HeloFilter).Helo(t.Context(), s) // as after STARTTLS
	b.transact(t.Context(), s, "a@b.example")
	for name, want := range map[string]int{
		reverse4 + ".bl.example": 1, "mail.example.com.rhs.example": 1, "a.example.rhs.example": 1, "b.example.rhs.example": 1,
	} {
		if n := b.zone.Asked(name, filters.TypeA); n != want {
			t.Errorf("%s was asked %d times, want %d", name, n, want)
		}
	}
}

// TestManyHelos holds a client that greets again and again to a bounded number
// of questions.
func TestManyHelos(t *testing.T) {
	b := newBench(t, `{zones: [{zone: rhs.example, check: [helo]}], threshold: 1}`, "*.spam.example.rhs.example A 127.0.0.2")
	s := filtertest.Session(client4)
	s.Begin(t.Context())
	defer s.End()
	b.Filter.(filters.ConnectFilter).Connect(t.Context(), s)
	asked := 0
	for i := range 30 {
		s.Helo = fmt.Sprintf("mx%d.spam.example", i)
		b.Filter.(filters.HeloFilter).Helo(t.Context(), s)
		if got := show(b.transact(t.Context(), s, "")); !strings.HasPrefix(got, "reject") {
			t.Errorf("%s: %s", s.Helo, got)
		}
		asked += b.zone.Asked(s.Helo+".rhs.example", filters.TypeA)
	}
	if asked != 10 {
		t.Errorf("%d questions", asked)
	}
}
