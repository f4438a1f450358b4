package chain

import (
	"context"
	"slices"
	"time"

	"github.com/mailweir/mailweir/filters"
)

// Trace is told how a chain comes to its decisions. Its functions, each of
// which may be nil, are called by whoever calls the Run, one at a time.
type Trace struct {
	Begin  func(context.Context) context.Context // what filters get in place of the session's context, for those that tell more of themselves
	Asked  func(Asked)                           // after each question to a filter
	Ends   func(*filters.Transaction)            // before a transaction is forgotten, with its facts and edits
	Closes func(*filters.Session)                // before a session is forgotten, with its facts
}

// Asked is one question to a filter, and what came of it.
type Asked struct {
	Stage    filters.Stage
	Entry    *Spec
	Took     time.Duration   // of the filter; of one that reads content, at the end of it
	Verdict  filters.Verdict // as the filter gave it
	Decision Decision        // what that comes to, after on_error; its reply lacks the id
	Observed bool            // Decision is only logged
	Waits    bool            // Decision waits for Options.DelayReject
	Edits    []filters.Edit  // what the filter wanted to change
	Unmade   bool            // none of that will be done
}

// Failed returns why the filter could not decide, or nil.
func (a *Asked) Failed() error {
	if a.Verdict.Action != filters.Continue || a.Verdict.Finding == nil {
		return nil
	}
	return a.Verdict.Finding.Err
}

// Traced returns the same chain, which tells t. It shares its filters with c
// and need not be closed.
func (c *Chain) Traced(t Trace) *Chain {
	part := *c
	part.trace = &t
	part.entries = make([]*entry, len(c.entries))
	for i, e := range c.entries {
		traced := *e
		traced.traced = true
		part.entries[i] = &traced
	}
	part.plan = newPlan(part.entries)
	return &part
}

// tracing is the question under way in a Run. There is none, and its methods do
// nothing, in a chain that is not traced.
type tracing struct {
	Trace
	asked Asked
}

func newTracing(t *Trace) *tracing {
	if t == nil {
		return nil
	}
	return &tracing{Trace: *t}
}

// begin notes that a question is put. The result ends it: one that was answered
// with nothing is told at once, others when they are settled.
func (t *tracing) begin(e *entry, stage filters.Stage, now func() time.Time) (end func(filters.Verdict)) {
	began := now()
	return func(v filters.Verdict) {
		t.asked.Took = now().Sub(began)
		if v == (filters.Verdict{}) {
			t.settled(e, stage, v, nil, false)
		}
	}
}

func (t *tracing) edits(made []filters.Edit, unmade bool) {
	if t != nil && len(made) > 0 {
		t.asked.Edits, t.asked.Unmade = slices.Clone(made), unmade
	}
}

// settled tells of a question; ru is nil if nothing comes of it.
func (t *tracing) settled(e *entry, stage filters.Stage, given filters.Verdict, ru *ruling, observed bool) {
	if t == nil {
		return
	}
	a := t.asked
	t.asked = Asked{}
	a.Stage, a.Entry, a.Verdict, a.Observed = stage, &e.Spec, given, observed
	if ru != nil {
		a.Decision, a.Waits = ru.decision, ru.waits
	}
	if t.Asked != nil {
		t.Asked(a)
	}
}

func (t *tracing) ends(tx *filters.Transaction) {
	if t != nil && t.Ends != nil {
		t.Ends(tx)
	}
}

func (t *tracing) closes(s *filters.Session) {
	if t != nil && t.Closes != nil {
		t.Closes(s)
	}
}
