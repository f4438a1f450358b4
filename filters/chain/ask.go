package chain

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/mailweir/mailweir/filters"
)

// ask puts one stage's question to the filters in order, until one of them
// objects and the chain agrees. It does not allocate while nobody objects.
func ask[F any](r *Run, stage filters.Stage, steps []step[F], call func(context.Context, F) filters.Verdict) Decision {
	if d, settled := r.standing(stage); settled {
		return d
	}
	for i := 0; i < len(steps); i++ {
		v := firstFinding(r, steps, &i, call)
		if v == (filters.Verdict{}) {
			break
		}
		if d, stop := r.settle(steps[i].entry, stage, v); stop {
			return d
		}
	}
	return Decision{}
}

// firstFinding asks from steps[*i] on and leaves in *i who gave the verdict. A
// panic counts as that filter's failure.
func firstFinding[F any](r *Run, steps []step[F], i *int, call func(context.Context, F) filters.Verdict) (v filters.Verdict) {
	defer func() {
		if p := recover(); p != nil {
			v = panicked(p)
		}
	}()
	var clock lap
	if *i < len(steps) && steps[*i].took != nil {
		clock.start(r)
	}
	for ; *i < len(steps); *i++ {
		s := &steps[*i]
		if s.guard {
			v = guarded(r, s, call)
		} else {
			v = call(r.ctx, s.filter)
		}
		if s.took != nil {
			s.took(clock.next(r).Seconds())
		}
		if v != (filters.Verdict{}) {
			return v
		}
	}
	return filters.Verdict{}
}

// guarded asks one filter that may edit, has a deadline, or is traced. What an
// observed filter wants to edit is logged and not done; neither is what a filter
// wanted that failed then.
func guarded[F any](r *Run, s *step[F], call func(context.Context, F) filters.Verdict) (v filters.Verdict) {
	if s.entry.traced {
		end := r.trace.begin(s.entry, s.stage, r.chain.now)
		defer func() { end(v) }()
	}
	had := len(r.tx.Edits())
	r.tx.Allow(s.entry.Kind.Needs)
	defer func() {
		r.tx.Allow(0)
		if p := recover(); p != nil {
			v = panicked(p)
		}
		made := r.tx.Edits()[had:]
		failed := v.Finding != nil && v.Finding.Err != nil
		r.trace.edits(made, failed || s.entry.Action == Ignore)
		switch {
		case len(made) == 0:
		case s.entry.Action == Ignore:
			r.logUnmade(s.entry, made)
			r.tx.KeepEdits(had)
		case failed:
			r.tx.KeepEdits(had)
		}
	}()
	if s.entry.Timeout > 0 {
		return timed(r.ctx, s, call)
	}
	return call(r.ctx, s.filter)
}

// timed asks one filter under its deadline. An answer of "nothing found" that
// comes too late is a failure: the filter may have found nothing because its
// look-up was cut off.
func timed[F any](ctx context.Context, s *step[F], call func(context.Context, F) filters.Verdict) filters.Verdict {
	ctx, cancel := context.WithTimeout(ctx, s.entry.Timeout)
	defer cancel()
	v := call(ctx, s.filter)
	if v == (filters.Verdict{}) && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return filters.Failed(fmt.Errorf("no answer within %v", s.entry.Timeout))
	}
	return v
}

func panicked(p any) filters.Verdict {
	return filters.Failed(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
}
