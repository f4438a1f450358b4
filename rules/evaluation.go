package rules

import (
	"context"
	"fmt"
	"time"

	"github.com/mailweir/mailweir/filters"
)

// evaluation is one question to a policy. It is taken from a pool.
type evaluation struct {
	p     *Policy
	ctx   context.Context
	stage filters.Stage
	s     *filters.Session
	t     *filters.Transaction // nil at connect and helo
	to    *filters.Path        // the recipient in question, at rcpt

	readings []reading // by slot
	dirty    []int     // slots that were read
	memo     []uint8   // by matcher
	buf      []byte    // what has been folded
	bits     []uint64  // candidates
	err      error     // of the matcher that was tested last
	trace    func(Step)
	began    time.Time // of the rule that is traced

	had     *state // what earlier stages left, once it was asked for
	verdict filters.Verdict
	seen    *rule // whose verdict it is, if it is only observed
	passed  bool  // an ignore has ended the rules, a verdict the evaluation
	delay   time.Duration
}

// begin takes an evaluation from the pool.
func (p *Policy) begin(ctx context.Context, stage filters.Stage, s *filters.Session, t *filters.Transaction, to *filters.Path) *evaluation {
	e, ok := p.pool.Get().(*evaluation)
	if !ok {
		e = &evaluation{p: p, readings: make([]reading, len(p.slots)), memo: make([]uint8, p.matchers)}
	}
	e.ctx, e.stage, e.s, e.t, e.to = ctx, stage, s, t, to
	e.trace = tracer(ctx)
	return e
}

// finish gives it back, with nothing of the session in it.
func (e *evaluation) finish() {
	e.reset()
	readings, memo, dirty, buf, bits, p := e.readings, e.memo, e.dirty, e.buf, e.bits, e.p
	*e = evaluation{p: p, readings: readings, memo: memo, dirty: dirty, buf: buf, bits: bits}
	const most = 64 << 10 // what a great message has made it keep is let go
	if cap(e.buf) > most {
		e.buf = nil
	}
	p.pool.Put(e)
}

// reset forgets what has been read.
func (e *evaluation) reset() {
	for _, slot := range e.dirty {
		r := &e.readings[slot]
		clear(r.values)
		const most = 64
		if cap(r.values) > most {
			r.values = nil
		}
		*r = reading{values: r.values[:0]}
	}
	e.dirty = e.dirty[:0]
	clear(e.memo)
	e.buf = e.buf[:0]
	e.err = nil
}

// read returns what a field is, looked up once.
func (e *evaluation) read(slot int) *reading {
	r := &e.readings[slot]
	if !r.known {
		r.known = true
		e.dirty = append(e.dirty, slot)
		ref := e.p.slots[slot]
		ref.read(e, ref.arg, r)
	}
	return r
}

// forget makes a field be read again: a rule has changed it.
func (e *evaluation) forget(name string) {
	slot, ok := e.p.slotOf[name]
	if !ok {
		return
	}
	r := &e.readings[slot]
	clear(r.values)
	*r = reading{values: r.values[:0]}
	for _, id := range e.p.matchersOf[slot] {
		e.memo[id] = 0
	}
}

// walk asks the rules of a segment in order, until one of them ends it. It
// fails when a rule cannot be decided.
func (e *evaluation) walk(p *plan, s segment) error {
	if e.trace != nil {
		return e.walkTraced(p, s)
	}
	for i := e.next(s.from, s.end); i < s.end; i = e.next(i+1, s.end) {
		if m := p.first[i]; m != nil && !m.holds(e) && e.err == nil {
			continue
		}
		r := p.rules[i]
		ok, err := r.holds(e)
		if err == nil && ok {
			err = e.apply(r)
		}
		if err != nil {
			return e.failed(r, err)
		}
		if e.passed {
			return nil
		}
	}
	return nil
}

// holds reports whether the rule matches.
func (r *rule) holds(e *evaluation) (bool, error) {
	for _, m := range r.match {
		if !m.holds(e) {
			return false, e.takeError()
		}
	}
	for _, m := range r.unless {
		if m.holds(e) {
			return false, nil
		}
		if err := e.takeError(); err != nil {
			return false, err
		}
	}
	if r.when == nil {
		return true, nil
	}
	return r.when.run(e)
}

// takeError returns what kept the last matcher from being tested.
func (e *evaluation) takeError() error {
	err := e.err
	e.err = nil
	return err
}

// failed is the error of a rule that could not be decided.
func (e *evaluation) failed(r *rule, err error) error {
	e.p.failures.Add(1, r.name)
	return fmt.Errorf("rule %s (%s): %w", r.name, e.p.place(r), err)
}

// apply does what a rule that matches says.
func (e *evaluation) apply(r *rule) error {
	r.matched.Add(1)
	e.p.matches.Add(1, r.name)
	v := filters.Verdict{}
	if r.then.action != filters.Continue {
		var err error
		if v, err = r.verdict(e); err != nil {
			return err
		}
	}
	if r.observe {
		e.observe(r, v)
		return nil
	}
	if err := e.edit(r); err != nil {
		return err
	}
	e.count(r)
	if r.then.delay > e.delay {
		e.delay = r.then.delay
	}
	e.take(v)
	if r.final() {
		e.passed = true
		if r.then.ignore {
			e.pass(r)
		}
	}
	return nil
}

// take keeps the graver verdict.
func (e *evaluation) take(v filters.Verdict) {
	if v.Action == filters.Continue || e.seen == nil && !graver(v.Action, e.verdict.Action) {
		return
	}
	if e.seen != nil {
		e.p.logObserved(e, e.seen)
		e.seen = nil
	}
	e.verdict = v
}

// observe keeps the verdict of a rule that is only observed if there is none
// yet. The chain logs one; others are logged here.
func (e *evaluation) observe(r *rule, v filters.Verdict) {
	if v.Action != filters.Continue && e.verdict == (filters.Verdict{}) {
		e.verdict, e.seen = v, r
		return
	}
	e.p.logObserved(e, r)
}
