package chain

import (
	"time"

	"github.com/mailweir/mailweir/filters"
)

// counted is what the chain counts. Names of filters and reasons are from the
// configuration and the code, never from a client.
type counted struct {
	verdicts, would, failures filters.Counter
	transactions              filters.Counter
	sizes, seconds            filters.Histogram

	listener []string            // the one whose part of the chain this is
	ends     map[string][]string // labels of transactions, by outcome
}

// outcomes of transactions are called as their records are.
var outcomes = []string{msgAccepted, msgDiscarded, msgQuarantined, msgRefused, msgAborted}

// of returns what counts for a listener, with its labels at hand.
func (c counted) of(listener string) counted {
	c.listener, c.ends = []string{listener}, map[string][]string{}
	for _, o := range outcomes {
		c.ends[o] = []string{listener, o}
		c.transactions.Add(0, c.ends[o]...)
	}
	return c
}

// Upper bounds of the histograms: a filter takes from less than a microsecond to
// the time-outs of a DNS list, a message has from some lines to what MTAs take.
var (
	filterSeconds = []float64{1e-5, 1e-4, 1e-3, 0.005, 0.02, 0.1, 0.5, 2, 8, 30}
	messageBytes  = []float64{1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20, 16 << 20, 64 << 20}
)

func newCounted(env filters.Env) counted {
	return counted{
		verdicts: env.Counter("mailweir_verdicts_total",
			"Findings of filters that were acted upon, and refusals by the upstream, by limits and for faults in the text.",
			"listener", "stage", "filter", "reason", "action"),
		would: env.Counter("mailweir_observed_verdicts_total",
			"Findings of filters that were only observed, with the action that they would have led to.",
			"listener", "stage", "filter", "reason", "action"),
		failures: env.Counter("mailweir_filter_failures_total",
			"Times that a filter could not decide, so that on_error decided.",
			"listener", "stage", "filter", "on_error"),
		transactions: env.Counter("mailweir_transactions_total",
			"Mail transactions that have ended, by outcome.",
			"listener", "outcome"),
		sizes: env.Histogram("mailweir_message_bytes",
			"Sizes of accepted messages, as far as their content came by.",
			messageBytes, "listener"),
		seconds: env.Histogram("mailweir_filter_seconds",
			"How long filters took to answer, at stage body for all of a message.",
			filterSeconds, "filter", "stage"),
	}
}

func (r *Run) countRuling(ru *ruling, observed bool) {
	counter := r.chain.counted.verdicts
	if observed {
		counter = r.chain.counted.would
	}
	counter.Add(1, r.session.Listener, ru.stage.String(), ru.entry.Name, ru.reason, ru.decision.Action.String())
}

// countEnd counts the transaction.
func (r *Run) countEnd(outcome string) {
	c := &r.chain.counted
	if c.ends == nil { // a chain of no listener
		return
	}
	c.transactions.Add(1, c.ends[outcome]...)
	if outcome == msgAccepted {
		c.sizes.Observe(float64(r.tx.Size), c.listener...)
	}
}

// observer returns what counts the seconds that the entry takes at that stage,
// nil if nobody wants to know.
func (e *entry) observer(s filters.Stage) func(float64) {
	return filters.Observer(e.seconds, e.Name, s.String())
}

// lap is a clock for what filters do one after the other.
type lap struct{ last time.Time }

// start begins to measure.
func (l *lap) start(r *Run) { l.last = r.chain.now() }

// next returns what has passed since the last call.
func (l *lap) next(r *Run) time.Duration {
	now := r.chain.now()
	took := now.Sub(l.last)
	l.last = now
	return took
}
