package trial

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
	"github.com/mailweir/mailweir/rules"
)

// recorder writes down what the chain tells. The session talks to it in its own
// goroutine.
type recorder struct {
	wants filters.Stages // at which somebody is asked

	mu    sync.Mutex
	asked []Asked // since the last step
	all   []Asked
	rules []rules.Step // of the question under way

	ofSession     []Fact
	ofTransaction []Fact
	edits         []filters.Edit
	discards      bool
	quarantines   bool
}

// traced returns the chain as the recorder watches it.
func (rec *recorder) traced(c *chain.Chain) *chain.Chain {
	rec.wants, _ = c.Wants()
	return c.Traced(chain.Trace{Begin: rec.begin, Asked: rec.note, Ends: rec.ends, Closes: rec.closes})
}

// begin lets policies tell of their rules.
func (rec *recorder) begin(ctx context.Context) context.Context {
	return rules.WithTrace(ctx, func(s rules.Step) {
		rec.mu.Lock()
		defer rec.mu.Unlock()
		rec.rules = append(rec.rules, s)
	})
}

func (rec *recorder) note(told chain.Asked) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	a := Asked{told, rec.rules}
	rec.rules = nil
	rec.asked = append(rec.asked, a)
	rec.all = append(rec.all, a)
	if !a.Observed {
		rec.discards = rec.discards || a.Decision.Action == filters.Discard
		rec.quarantines = rec.quarantines || a.Decision.Action == filters.Quarantine
	}
}

// take returns the questions of a step that was about those stages and has ended
// with that reply; if there are none, a note about who has settled it before.
func (rec *recorder) take(stages filters.Stages, r Reply) (asked []Asked, note string) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	asked, rec.asked = rec.asked, nil
	wanted := rec.wants&stages != 0
	if len(asked) > 0 {
		return asked, ""
	}
	for _, a := range rec.all {
		switch {
		case a.Observed:
		case a.Waits && r.Refused():
			return nil, fmt.Sprintf("what %s found at %s is told now", a.Entry.Name, a.Stage)
		case a.Decision.Action == filters.Accept && a.Stage != filters.Rcpt && wanted:
			return nil, fmt.Sprintf("no filter is asked: %s has accepted at %s", a.Entry.Name, a.Stage)
		case a.Decision.Action == filters.Discard && wanted:
			return nil, fmt.Sprintf("no filter is asked: %s has discarded at %s", a.Entry.Name, a.Stage)
		}
	}
	return nil, ""
}

// factPatience bounds the wait for one fact that is still being learnt.
const factPatience = 10 * time.Second

// ends keeps what a transaction has come to.
func (rec *recorder) ends(t *filters.Transaction) {
	rec.ofTransaction = rec.factsOf(t)
	rec.edits = slices.Clone(t.Edits())
}

func (rec *recorder) closes(s *filters.Session) { rec.ofSession = rec.factsOf(s) }

// factsOf returns the facts that those who were asked say they set. A later
// entry of a kind sets them in place of an earlier one.
func (rec *recorder) factsOf(h filters.Holder) (facts []Fact) {
	by := map[string]string{} // kind -> entry
	for _, a := range rec.all {
		by[a.Entry.Kind.Name] = a.Entry.Name
	}
	done := map[string]bool{}
	for _, a := range rec.all {
		for _, info := range a.Entry.Kind.Sets {
			if done[info.Name] {
				continue
			}
			done[info.Name] = true
			if value, err := factOf(h, info.Name); !errors.Is(err, filters.ErrNoFact) {
				facts = append(facts, Fact{Name: info.Name, Value: value, Err: err, By: by[a.Entry.Kind.Name]})
			}
		}
	}
	return facts
}

func factOf(h filters.Holder, name string) (any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), factPatience)
	defer cancel()
	return filters.LookupFact(ctx, h, name)
}
