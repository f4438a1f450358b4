package chain_test

import (
	"bytes"
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
	"github.com/mailweir/mailweir/filters/filtertest"
)

// lists is a filter that knows its verdict from the client's address.
type lists struct{ finds func() filters.Verdict }

func (f lists) Address(netip.Addr) filters.Verdict { return f.finds() }
func (f lists) Connect(context.Context, *filters.Session) filters.Verdict {
	return f.finds()
}

func listing(v filters.Verdict, more ...func(*chain.Spec)) chain.Spec {
	return listingBy(func() filters.Verdict { return v }, more...)
}

func listingBy(finds func() filters.Verdict, more ...func(*chain.Spec)) chain.Spec {
	s := entry(&stub{name: "lists"}, more...)
	s.Kind.New = func(filters.Env, any) (filters.Filter, error) { return lists{finds}, nil }
	return s
}

// onlyFor serves only that listener.
func onlyFor(listener string) func(*chain.Spec) {
	return func(s *chain.Spec) { s.Listeners = []string{listener} }
}

var (
	none     = filters.Verdict{}
	observed = filters.Verdict{Action: filters.Reject, Finding: &filters.Finding{Reason: "seen", Observed: true}}
	drop     = doing(chain.Drop)
	ignore   = doing(chain.Ignore)
	knocks   = filters.Connect // asked there, and finds nothing
)

// A denial is what a session would hear at once, and nothing else is one.
func TestDenies(t *testing.T) {
	asked := entry(&stub{name: "asked", finds: answers{knocks: none}})
	for name, tc := range map[string]struct {
		specs  []chain.Spec
		delay  filters.Stage // Connect for no delay
		denied bool
	}{
		"dropped":                     {specs: []chain.Spec{listing(reject(), drop)}, delay: filters.Rcpt, denied: true},
		"dropped for now":             {specs: []chain.Spec{listing(tempfail(), drop)}, delay: filters.Rcpt, denied: true},
		"no delay":                    {specs: []chain.Spec{listing(reject())}, denied: true},
		"no delay, for now":           {specs: []chain.Spec{listing(tempfail())}, denied: true},
		"hangs up":                    {specs: []chain.Spec{listing(verdict(filters.Hangup))}, delay: filters.Rcpt, denied: true},
		"by the second":               {specs: []chain.Spec{listing(none), listing(reject(), drop)}, delay: filters.Rcpt, denied: true},
		"observed by what finds none": {specs: []chain.Spec{listing(none, ignore), listing(reject(), drop)}, delay: filters.Rcpt, denied: true},
		"behind an entry of another listener": {specs: []chain.Spec{entry(&stub{name: "other", finds: answers{knocks: none}}, onlyFor("other")), listing(reject(), drop)},
			delay: filters.Rcpt, denied: true},
		"behind one asked later": {specs: []chain.Spec{entry(&stub{name: "later", finds: answers{filters.Helo: none}}), listing(reject(), drop)},
			delay: filters.Rcpt, denied: true},

		"no chain":                {},
		"finds nothing":           {specs: []chain.Spec{listing(none, drop)}},
		"delayed":                 {specs: []chain.Spec{listing(reject())}, delay: filters.Rcpt},
		"delayed until HELO":      {specs: []chain.Spec{listing(reject())}, delay: filters.Helo},
		"an observed entry":       {specs: []chain.Spec{listing(reject(), ignore)}},
		"one behind an observed":  {specs: []chain.Spec{listing(reject(), ignore), listing(reject(), drop)}},
		"an observed finding":     {specs: []chain.Spec{listing(observed, drop)}},
		"allowed first":           {specs: []chain.Spec{listing(filters.Accepted("friend")), listing(reject(), drop)}},
		"a failure":               {specs: []chain.Spec{listing(filters.Failed(errBoom), onError(chain.ErrorReject))}},
		"discards":                {specs: []chain.Spec{listing(verdict(filters.Discard))}},
		"no such verdict":         {specs: []chain.Spec{listing(verdict(99))}},
		"panics":                  {specs: []chain.Spec{listingBy(func() filters.Verdict { panic("boom") }, onError(chain.ErrorReject))}},
		"with a deadline":         {specs: []chain.Spec{listing(reject(), drop, timeout(time.Minute))}},
		"one that edits":          {specs: []chain.Spec{listing(reject(), drop, needs(filters.EditHeader))}},
		"behind one that asks":    {specs: []chain.Spec{asked, listing(reject(), drop)}},
		"serves another listener": {specs: []chain.Spec{listing(reject(), drop, onlyFor("other"))}},
	} {
		t.Run(name, func(t *testing.T) {
			early, inSession := newWay(t, tc.delay, tc.specs), newWay(t, tc.delay, tc.specs)
			d, denied := early.chain.Denies(session().Client.Addr())
			if denied != tc.denied {
				t.Fatalf("denied is %v, want %v", denied, tc.denied)
			}
			if early.log.Len() != 0 || len(early.counts()) != 0 {
				t.Errorf("asking has left a trace: %s%v", early.log, early.counts())
			}
			run := inSession.chain.Start(context.Background(), session())
			want := run.Connect()
			run.Close()
			if !denied {
				return
			}
			if got := d.Settle(context.Background(), session()); got != want {
				t.Errorf("the client is told %v, in a session %v", got, want)
			}
			if diff := cmp.Diff(inSession.counts(), early.counts()); diff != "" {
				t.Errorf("counted (- in a session, + at once):\n%s", diff)
			}
			if diff := cmp.Diff(inSession.records(t), early.records(t)); diff != "" {
				t.Errorf("logged (- in a session, + at once):\n%s", diff)
			}
		})
	}
}

// way is a chain of a listener, with what it logs and counts.
type way struct {
	chain   *chain.Chain
	log     *bytes.Buffer
	metrics *filtertest.Metrics
}

func newWay(t *testing.T, delay filters.Stage, specs []chain.Spec) *way {
	t.Helper()
	w := &way{log: new(bytes.Buffer), metrics: filtertest.NewMetrics()}
	e := env(w.log)
	e.Metrics = w.metrics
	c, err := chain.Build(e, specs, chain.Options{DelayReject: delay})
	if err != nil {
		t.Fatal(err)
	}
	w.chain = c.For(session().Listener)
	return w
}

// counts returns all that was counted.
func (w *way) counts() map[string]float64 {
	all := map[string]float64{}
	for _, name := range strings.Fields("verdicts_total observed_verdicts_total filter_failures_total transactions_total filter_seconds") {
		for labels, n := range w.metrics.All("mailweir_" + name) {
			all[name+" "+labels] = n
		}
	}
	return all
}

// records returns what was logged, without the time.
func (w *way) records(t *testing.T) []record {
	list := records(t, w.log)
	for _, r := range list {
		delete(r, "time")
	}
	return list
}

// Whoever watches a chain sees all of its questions.
func TestTracedDeniesNobody(t *testing.T) {
	c := newWay(t, filters.Rcpt, []chain.Spec{listing(reject(), drop)}).chain
	if _, denied := c.Denies(session().Client.Addr()); !denied {
		t.Error("nobody is denied")
	}
	if _, denied := c.Traced(chain.Trace{}).Denies(session().Client.Addr()); denied {
		t.Error("a denial is not traced")
	}
}

// Asking about those who are not denied is for each connection: it costs nothing
// that is kept.
func TestDeniesDoesNotAllocate(t *testing.T) {
	c := newWay(t, filters.Rcpt, []chain.Spec{listing(none, drop), listing(none, drop)}).chain
	client := session().Client.Addr()
	if n := testing.AllocsPerRun(100, func() { c.Denies(client) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
