package rules

import (
	"context"
	"slices"
	"time"

	"github.com/mailweir/mailweir/filters"
)

// state is what the rules of earlier stages have left for later ones.
type state struct {
	tags       []string
	score      int
	counted    []uint64 // rules whose tags and score are in it
	passed     bool     // no rule is asked any more
	sets       []uint64 // sets of which none is
	delayed    filters.Stages
	redirected bool
	content    *content
}

// sessionState is what is left of connect, and of the HELO in force.
type sessionState struct {
	connect, helo state
	greeted       bool // helo counts
}

// maxTags bounds what a policy makes a session keep.
const maxTags = 64

// state returns what belongs to the session's stage or the transaction.
func (e *evaluation) state() *state {
	if e.had != nil {
		return e.had
	}
	if !e.p.stateful {
		e.had = new(state)
		return e.had
	}
	ss := e.sessionState()
	switch {
	case e.stage == filters.Connect:
		e.had = &ss.connect
	case e.t == nil:
		e.had = &ss.helo
	default:
		e.had = e.transactionState(ss)
	}
	return e.had
}

func (e *evaluation) sessionState() *sessionState {
	ss, err := e.p.ofSession.Get(e.ctx, e.s)
	if err != nil {
		ss = new(sessionState)
		e.p.ofSession.Set(e.s, ss)
	}
	return ss
}

// transactionState begins with what the session has left.
func (e *evaluation) transactionState(ss *sessionState) *state {
	st, err := e.p.ofTransaction.Get(e.ctx, e.t)
	if err != nil {
		st = ss.after()
		e.p.ofTransaction.Set(e.t, st)
	}
	return st
}

// after is what a later stage begins with.
func (ss *sessionState) after() *state {
	from := &ss.helo
	if !ss.greeted {
		from = &ss.connect
	}
	return from.clone()
}

func (s *state) clone() *state {
	return &state{
		tags:    slices.Clone(s.tags),
		score:   s.score,
		counted: slices.Clone(s.counted),
		passed:  s.passed,
		sets:    slices.Clone(s.sets),
	}
}

// newHelo takes back what an earlier HELO has left.
func (e *evaluation) newHelo() {
	if e.p.stateful {
		ss := e.sessionState()
		ss.helo, ss.greeted = *ss.connect.clone(), true
	}
}

// mark sets a bit of a set that grows to n when it is first used; it reports
// whether the bit was set before.
func (s *state) mark(bits *[]uint64, i, n int) bool {
	if *bits == nil {
		*bits = make([]uint64, n/64+1)
	}
	had := (*bits)[i/64]&(1<<(i%64)) != 0
	(*bits)[i/64] |= 1 << (i % 64)
	return had
}

func has(bits []uint64, i int) bool { return bits != nil && bits[i/64]&(1<<(i%64)) != 0 }

// count gives tags and score, once in a transaction for each rule.
func (e *evaluation) count(r *rule) {
	if !r.then.stateful() {
		return
	}
	st := e.state()
	if st.mark(&st.counted, r.number, len(e.p.rules)) {
		return
	}
	st.score += r.then.score
	for _, tag := range r.then.tags {
		if !slices.Contains(st.tags, tag) && len(st.tags) < maxTags {
			st.tags = append(st.tags, tag)
		}
	}
	e.forget("tags")
	e.forget("score")
	e.publish(st)
}

// pass keeps an ignore in mind: for the session at connect and helo, for this
// recipient at rcpt, else for the transaction.
func (e *evaluation) pass(r *rule) {
	switch {
	case e.stage == filters.Rcpt:
	case r.set != nil && r.set.to != nil:
		st := e.state()
		st.mark(&st.sets, r.set.number, len(e.p.sets))
	default:
		e.state().passed = true
	}
}

// wait lets the client wait as the rules want it, once for each stage of a
// transaction.
func (e *evaluation) wait() {
	st := e.state()
	if st.delayed.Has(e.stage) {
		return
	}
	st.delayed |= filters.StageSet(e.stage)
	if e.trace != nil {
		return
	}
	sleep(e.ctx, e.delay)
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
