package chain

import (
	"context"
	"errors"
	"io"

	"github.com/mailweir/mailweir/filters"
)

// sink is where one filter reads this message.
type sink struct {
	entry *entry
	w     io.Writer // nil when it wants no more
	end   filters.Finisher
}

// BeginBody opens the sinks for this message. The front end calls it once,
// before the first octet of content.
func (r *Run) BeginBody() Decision {
	r.sinks = r.sinks[:0]
	steps := r.chain.plan.body
	if _, settled := r.standing(filters.Body); settled {
		return Decision{}
	}
	for i := range steps {
		v := r.openSink(&steps[i])
		if v == (filters.Verdict{}) {
			continue
		}
		if d, stop := r.settle(steps[i].entry, filters.Body, v); stop {
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
		r.sinks = append(r.sinks, sink{s.entry, w, end})
	}
	return filters.Verdict{}
}

// Body passes a piece of content, without dot-stuffing, to those who read it.
// A decision other than Continue settles the message: the rest of it need not
// be passed.
func (r *Run) Body(piece []byte) Decision {
	r.tx.Size += int64(len(piece))
	for i := range r.sinks {
		s := &r.sinks[i]
		if s.w == nil {
			continue
		}
		v := s.write(r, piece)
		if v == (filters.Verdict{}) {
			continue
		}
		if d, stop := r.settle(s.entry, filters.Body, v); stop && d.Action != filters.Continue {
			r.sinks = r.sinks[:0]
			return d
		}
	}
	return Decision{}
}

// write hands the piece over and returns a verdict only if there is one now.
func (s *sink) write(r *Run, piece []byte) (v filters.Verdict) {
	defer func() {
		if p := recover(); p != nil {
			s.w, s.end = nil, nil
			v = panicked(p)
		}
	}()
	_, err := s.w.Write(piece)
	switch {
	case err == nil:
		return filters.Verdict{}
	case errors.Is(err, filters.ErrSkip):
		s.w = nil
		return filters.Verdict{}
	case errors.Is(err, filters.ErrDecided):
		return s.finish(r)
	}
	s.w, s.end = nil, nil
	return filters.Failed(err)
}

// finish asks a sink for its verdict, once.
func (s *sink) finish(r *Run) (v filters.Verdict) {
	end := s.end
	s.w, s.end = nil, nil
	if end == nil {
		return filters.Verdict{}
	}
	one := step[filters.Finisher]{end, s.entry}
	i := 0
	return firstFinding(r.ctx, []step[filters.Finisher]{one}, &i, finishSink)
}

// finishBody asks the sinks that have not spoken yet.
func (r *Run) finishBody() Decision {
	for i := range r.sinks {
		v := r.sinks[i].finish(r)
		if v == (filters.Verdict{}) {
			continue
		}
		if d, stop := r.settle(r.sinks[i].entry, filters.EOM, v); stop {
			return d
		}
	}
	return Decision{}
}

func finishSink(ctx context.Context, f filters.Finisher) filters.Verdict { return f.Finish(ctx) }
