package chain

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/mailweir/mailweir/filters"
)

// sink is where one filter reads this message.
type sink struct {
	entry *entry
	w     io.Writer // nil when it wants no more
	end   filters.Finisher
	took  func(seconds float64) // nil if nobody wants to know
	spent time.Duration         // so far
}

// BeginBody opens the sinks for this message. The front end calls it once,
// before the first octet of content.
func (r *Run) BeginBody() Decision {
	r.dropSinks()
	steps := r.chain.plan.body
	if d, settled := r.standing(filters.Body); settled {
		return d
	}
	for i := range steps {
		v := r.openSink(&steps[i])
		if v == (filters.Verdict{}) {
			continue
		}
		if d, stop := r.settle(steps[i].entry, filters.Body, v); stop {
			r.dropSinks()
			return d
		}
	}
	return Decision{}
}

func (r *Run) openSink(s *step[filters.BodyFilter]) (v filters.Verdict) {
	defer func() {
		if p := recover(); p != nil {
			v = panicked(p)
		}
	}()
	if w := s.filter.Body(r.ctx, &r.tx); w != nil {
		end, _ := w.(filters.Finisher)
		r.sinks = append(r.sinks, sink{entry: s.entry, w: w, end: end, took: s.took})
	}
	return filters.Verdict{}
}

// Body passes a piece of content, without dot-stuffing, to those who read it.
// A decision other than Continue settles the message: the rest of it need not
// be passed.
func (r *Run) Body(piece []byte) Decision {
	r.tx.Size += int64(len(piece))
	if d, settled := r.standing(filters.Body); settled {
		return d
	}
	for i := 0; i < len(r.sinks); i++ {
		v := r.firstWrite(piece, &i)
		if v == (filters.Verdict{}) {
			break
		}
		if d, stop := r.settle(r.sinks[i].entry, filters.Body, v); stop {
			r.dropSinks()
			return d
		}
	}
	return Decision{}
}

// firstWrite is firstFinding for the sinks.
func (r *Run) firstWrite(piece []byte, i *int) (v filters.Verdict) {
	defer func() {
		if p := recover(); p != nil {
			r.sinks[*i].w, r.sinks[*i].end = nil, nil
			v = panicked(p)
		}
	}()
	var clock lap
	if *i < len(r.sinks) && r.sinks[*i].took != nil {
		clock.start(r)
	}
	for ; *i < len(r.sinks); *i++ {
		s := &r.sinks[*i]
		if s.w == nil {
			continue
		}
		v := s.write(r, piece)
		if s.took != nil {
			s.spent += clock.next(r)
		}
		if v != (filters.Verdict{}) {
			return v
		}
	}
	return filters.Verdict{}
}

// write hands the piece over and returns a verdict only if there is one now.
func (s *sink) write(r *Run, piece []byte) filters.Verdict {
	_, err := s.w.Write(piece)
	switch {
	case err == nil:
		return filters.Verdict{}
	case errors.Is(err, filters.ErrSkip):
		s.w = nil
		return filters.Verdict{}
	case errors.Is(err, filters.ErrDecided):
		return s.finish(r, filters.Body)
	}
	s.w, s.end = nil, nil
	return filters.Failed(err)
}

// finish asks a sink for its verdict, once.
func (s *sink) finish(r *Run, stage filters.Stage) (v filters.Verdict) {
	end := s.end
	s.w, s.end = nil, nil
	if end == nil {
		return filters.Verdict{}
	}
	one := step[filters.Finisher]{end, s.entry, s.entry.guarded(), stage, nil}
	i := 0
	return firstFinding(r, []step[filters.Finisher]{one}, &i, finishSink)
}

// conclude is finish at the end of the message.
func (s *sink) conclude(r *Run) filters.Verdict {
	var clock lap
	if s.took != nil {
		clock.start(r)
		defer func() { s.spent += clock.next(r) }()
	}
	return s.finish(r, filters.EOM)
}

// Reading reports whether some filter wants more of the content.
func (r *Run) Reading() bool {
	if r.ofSession.accepted != nil || r.ofTx.accepted != nil || r.ofTx.final != nil {
		return false
	}
	return slices.ContainsFunc(r.sinks, func(s sink) bool { return s.w != nil })
}

// finishBody asks the sinks that have not spoken yet.
func (r *Run) finishBody() Decision {
	defer r.dropSinks()
	if r.ofSession.accepted != nil || r.ofTx.accepted != nil {
		return Decision{}
	}
	for i := range r.sinks {
		v := r.sinks[i].conclude(r)
		if v == (filters.Verdict{}) {
			continue
		}
		if d, stop := r.settle(r.sinks[i].entry, filters.EOM, v); stop {
			return d
		}
	}
	return Decision{}
}

// dropSinks forgets the sinks, and keeps their room for the next message.
func (r *Run) dropSinks() {
	for i := range r.sinks {
		if s := &r.sinks[i]; s.took != nil {
			s.took(s.spent.Seconds())
		}
	}
	clear(r.sinks)
	r.sinks = r.sinks[:0]
}

func finishSink(ctx context.Context, f filters.Finisher) filters.Verdict { return f.Finish(ctx) }
