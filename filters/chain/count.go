package chain

import "github.com/mailweir/mailweir/filters"

// counted is what the chain counts. Names of filters and reasons are from the
// configuration and the code, never from a client.
type counted struct{ verdicts, would, failures filters.Counter }

func newCounted(env filters.Env) counted {
	return counted{
		verdicts: env.Counter("mailweir_verdicts_total",
			"Findings of filters that were acted upon.",
			"listener", "stage", "filter", "reason", "action"),
		would: env.Counter("mailweir_observed_verdicts_total",
			"Findings of filters that were only observed, with the action that they would have led to.",
			"listener", "stage", "filter", "reason", "action"),
		failures: env.Counter("mailweir_filter_failures_total",
			"Times that a filter could not decide, so that on_error decided.",
			"listener", "stage", "filter", "on_error"),
	}
}

func (r *Run) countRuling(ru *ruling, observed bool) {
	counter := r.chain.counted.verdicts
	if observed {
		counter = r.chain.counted.would
	}
	counter.Add(1, r.session.Listener, ru.stage.String(), ru.entry.Name, ru.reason, ru.decision.Action.String())
}
