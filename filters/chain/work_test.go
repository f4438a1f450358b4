package chain_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
)

// worker is a filter that works until it is told to stop.
type worker struct {
	stub
	began, ended chan struct{}
	fall         bool
}

func (w *worker) Work(ctx context.Context) {
	close(w.began)
	if w.fall {
		panic("fell")
	}
	<-ctx.Done()
	close(w.ended)
}

func employed(w *worker) chain.Spec {
	return chain.Spec{Kind: filters.Kind{
		Name: "w",
		New:  func(filters.Env, any) (filters.Filter, error) { return w, nil },
	}}
}

func newWorker() *worker { return &worker{began: make(chan struct{}), ended: make(chan struct{})} }

// Filters work from Work to Close, once.
func TestWork(t *testing.T) {
	w := newWorker()
	c := build(t, io.Discard, chain.Options{}, employed(w))
	select {
	case <-w.began:
		t.Fatal("works before the chain serves")
	default:
	}
	c.Work()
	c.For("mx").Work()
	<-w.began
	c.Close()
	select {
	case <-w.ended:
	default:
		t.Error("works on after Close")
	}
}

func TestWorkNeverBegun(t *testing.T) {
	w := newWorker()
	c := build(t, io.Discard, chain.Options{}, employed(w))
	c.Close()
	c.Work()
	select {
	case <-w.began:
		t.Error("works after Close")
	default:
	}
}

func TestWorkPanics(t *testing.T) {
	w := newWorker()
	w.fall = true
	var log strings.Builder
	c := build(t, &log, chain.Options{}, employed(w))
	c.Work()
	<-w.began
	c.Close()
	if got := log.String(); !strings.Contains(got, "a filter's work has ended") || !strings.Contains(got, "fell") {
		t.Errorf("log = %q", got)
	}
}

// Those who let the client wait are asked last.
func TestWaitsLast(t *testing.T) {
	var calls []string
	specs := []chain.Spec{tail(&calls), tail(&calls), tail(&calls)}
	for i := range specs {
		f := &stub{name: fmt.Sprint("f", i), finds: answers{filters.Connect: {}, filters.Mail: {}}, calls: &calls}
		specs[i] = entry(f)
		specs[i].Kind.Waits = i == 0
	}
	k := start(t, filters.Rcpt, specs...)
	k.until(filters.Connect)
	if got := strings.Join(calls, " "); got != "f1.connect f2.connect f0.connect" {
		t.Errorf("asked %s", got)
	}
	k.Close()
}

// A finding that is observed only stops nobody, whatever the entry does.
func TestObserved(t *testing.T) {
	v := reject()
	v.Finding.Observed = true
	for _, action := range []chain.Action{chain.Enforce, chain.Drop, chain.Ignore} {
		var calls []string
		k := start(t, filters.Rcpt, one(answers{filters.Mail: v}, doing(action)), entry(&stub{name: "g", finds: answers{filters.Mail: {}}, calls: &calls}))
		k.until(filters.Rcpt)
		if len(calls) != 1 || len(k.Transaction().Findings()) != 1 || !k.Transaction().Findings()[0].Ignored {
			t.Errorf("%v: asked %q, findings %v", action, calls, k.Transaction().Findings())
		}
		k.Done(taken)
		k.Close()
		if got := k.messages(); got != "would have refused, accepted" {
			t.Errorf("%v: log = %s", action, got)
		}
	}
}

// The failure of a test that is observed only is no more than observed.
func TestObservedFailure(t *testing.T) {
	v := filters.Failed(errBoom)
	v.Finding.Observed = true
	for _, o := range []chain.OnError{chain.ErrorTempFail, chain.ErrorReject} {
		k := start(t, filters.Rcpt, one(answers{filters.Rcpt: v}, onError(o)))
		wantAction(t, k.until(filters.Rcpt), filters.Continue)
		k.Done(taken)
		k.Close()
		if got := k.messages(); got != "filter failed, would have refused, accepted" {
			t.Errorf("%v: log = %s", o, got)
		}
	}
}

// tally counts in place of the operator's instruments.
type tally struct {
	mu     sync.Mutex
	counts map[string]float64
}

type tallied struct {
	*tally
	name string
}

func (t *tally) Counter(name, _ string, _ ...string) filters.Counter { return tallied{t, name} }
func (t *tally) Gauge(string, string, ...string) filters.Gauge       { return nil }
func (t *tally) Histogram(name, _ string, _ []float64, _ ...string) filters.Histogram {
	return tallied{t, name}
}

func (t tallied) Add(n float64, values ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts[t.name+" "+strings.Join(values, " ")] += n
}

// Observe keeps the sum.
func (t tallied) Observe(n float64, values ...string) { t.Add(n, values...) }

// What is found is counted: what was done, what would have been, what failed.
func TestCounted(t *testing.T) {
	counts := &tally{counts: map[string]float64{}}
	e := env(io.Discard)
	e.Metrics = counts
	c, err := chain.Build(e, []chain.Spec{
		entry(&stub{name: "seen", finds: answers{filters.Helo: reject()}}, doing(chain.Ignore)),
		entry(&stub{name: "ill", finds: answers{filters.Helo: filters.Failed(errBoom)}}, onError(chain.ErrorContinue)),
		entry(&stub{name: "done", finds: answers{filters.Mail: tempfail()}}),
	}, chain.Options{DelayReject: filters.Rcpt})
	if err != nil {
		t.Fatal(err)
	}
	k := &talk{c.For("mx").Start(context.Background(), session()), t, nil}
	k.until(filters.Mail)
	k.Close()
	c.Close()
	maps.DeleteFunc(counts.counts, func(name string, n float64) bool {
		return n == 0 || strings.HasPrefix(name, "mailweir_filter_seconds ")
	})
	want := map[string]float64{
		"mailweir_transactions_total mx refused":                   1,
		"mailweir_observed_verdicts_total mx helo seen bad reject": 1,
		"mailweir_filter_failures_total mx helo ill continue":      1,
		"mailweir_verdicts_total mx mail done soon tempfail":       1,
	}
	if fmt.Sprint(counts.counts) != fmt.Sprint(want) {
		t.Errorf("counted %v, want %v", counts.counts, want)
	}
}

// A filter knows how long it may take: its kind's time, or the entry's.
func TestTimeoutIsTold(t *testing.T) {
	for own, want := range map[time.Duration]time.Duration{0: 5 * time.Second, time.Second: time.Second} {
		var got time.Duration
		spec := chain.Spec{Timeout: own, Kind: filters.Kind{Name: "f", Timeout: 5 * time.Second, New: func(e filters.Env, _ any) (filters.Filter, error) {
			got = e.Timeout
			return &stub{}, nil
		}}}
		build(t, io.Discard, chain.Options{}, spec).Close()
		if got != want {
			t.Errorf("timeout %v: told %v", own, got)
		}
	}
}
