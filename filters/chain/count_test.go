package chain_test

import (
	"context"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
)

// clock is a time that filters spend.
type clock struct{ now time.Time }

func (c *clock) spend(d time.Duration, v filters.Verdict) func(context.Context) filters.Verdict {
	return func(context.Context) filters.Verdict {
		c.now = c.now.Add(d)
		return v
	}
}

// slow is a sink that takes its time.
type slow struct{ *clock }

func (s slow) Write(p []byte) (int, error) {
	s.spend(10*time.Millisecond, filters.Verdict{})(nil)
	return len(p), nil
}

func (s slow) Finish(context.Context) filters.Verdict {
	return s.spend(time.Second, filters.Verdict{})(nil)
}

func counting(t *testing.T, c *clock, specs ...chain.Spec) (*chain.Chain, *tally) {
	t.Helper()
	counts := &tally{counts: map[string]float64{}}
	e := env(io.Discard)
	e.Metrics, e.Now = counts, func() time.Time { return c.now }
	built, err := chain.Build(e, specs, chain.Options{DelayReject: filters.Rcpt})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { built.Close() })
	return built.For("mx"), counts
}

// Each filter is charged with the time that it took, and with no other's.
func TestFilterSeconds(t *testing.T) {
	c := &clock{now: time.Unix(1e9, 0)}
	cheap := &stub{name: "cheap", do: map[filters.Stage]func(context.Context) filters.Verdict{
		filters.Mail: c.spend(time.Millisecond, filters.Verdict{}),
		filters.Rcpt: c.spend(2*time.Millisecond, filters.Verdict{}),
	}}
	dear := &stub{name: "dear", do: map[filters.Stage]func(context.Context) filters.Verdict{
		filters.Mail: c.spend(time.Second, filters.Verdict{}),
		filters.Rcpt: c.spend(2*time.Second, reject()),
	}}
	reads := &stub{name: "reads", open: func(*filters.Transaction) io.Writer { return slow{c} }}
	part, counts := counting(t, c, entry(cheap), entry(dear, doing(chain.Ignore), func(s *chain.Spec) { s.Timeout = time.Hour }), entry(reads))
	r := part.Start(context.Background(), session())
	r.Mail(alice, 0)
	r.Rcpt(bob)
	r.BeginBody()
	r.Body([]byte("a"))
	c.now = c.now.Add(time.Hour) // of the client
	r.Body([]byte("b"))
	r.Message()
	r.Done(taken)
	r.Close()
	for name, want := range map[string]float64{
		"mailweir_filter_seconds cheap mail": 0.001,
		"mailweir_filter_seconds cheap rcpt": 0.002,
		"mailweir_filter_seconds dear mail":  1,
		"mailweir_filter_seconds dear rcpt":  2,
		"mailweir_filter_seconds reads body": 1.02,
	} {
		if got := counts.counts[name]; got < want-1e-6 || got > want+1e-6 {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

// Each transaction has one outcome; a refusal that is not a filter's is counted
// as one too.
func TestTransactionsCounted(t *testing.T) {
	c := &clock{now: time.Unix(1e9, 0)}
	refused := filters.Reply{Code: 550, Text: "no"}
	for _, tc := range []struct {
		outcome string
		finds   answers
		end     func(r *chain.Run)
		more    []string
	}{
		{outcome: "accepted", end: func(r *chain.Run) { r.Rcpt(bob); r.Body([]byte("12345")); r.Done(taken) }, more: []string{"mailweir_message_bytes mx"}},
		{outcome: "aborted", end: func(r *chain.Run) { r.Rcpt(bob); r.Done(chain.Result{Reason: "reset"}) }},
		{outcome: "aborted", end: func(r *chain.Run) { r.Rcpt(bob); r.Close() }},
		{outcome: "discarded", finds: answers{filters.Rcpt: verdict(filters.Discard)}, end: func(r *chain.Run) { r.Rcpt(bob); r.Message(); r.Done(taken) },
			more: []string{"mailweir_verdicts_total mx rcpt f why discard"}},
		{outcome: "refused", finds: answers{filters.Mail: reject()}, end: func(r *chain.Run) { r.Rcpt(bob); r.Done(chain.Result{Reason: "quit"}) },
			more: []string{"mailweir_verdicts_total mx mail f bad reject"}},
		{outcome: "refused", finds: answers{filters.EOM: reject()}, end: func(r *chain.Run) { r.Rcpt(bob); r.Done(chain.Result{Reply: r.Message().Reply}) },
			more: []string{"mailweir_verdicts_total mx eom f bad reject"}},
		{outcome: "refused", end: func(r *chain.Run) { r.Refused(nil, refused) }, more: []string{"mailweir_verdicts_total mx mail upstream upstream reject"}},
		{outcome: "refused", end: func(r *chain.Run) { r.Rcpt(bob); r.Done(chain.Result{Reply: refused, Upstream: "550 no"}) },
			more: []string{"mailweir_verdicts_total mx data upstream upstream reject"}},
		{outcome: "refused", end: func(r *chain.Run) {
			r.Rcpt(bob)
			r.Done(chain.Result{Reply: refused, Filter: "wire", Reason: "nul"})
		}, more: []string{"mailweir_verdicts_total mx data wire nul reject"}},
	} {
		part, counts := counting(t, c, entry(&stub{name: "f", finds: tc.finds}))
		r := part.Start(context.Background(), session())
		if !r.Mail(alice, 0).Refuses() {
			tc.end(r)
		}
		want := append([]string{"mailweir_transactions_total mx " + tc.outcome}, tc.more...)
		var got []string
		for name, n := range counts.counts {
			if n > 0 {
				got = append(got, name)
			}
		}
		if slices.Sort(got); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
			t.Errorf("%s: counted %v, want %v", tc.outcome, got, want)
		}
	}
}
