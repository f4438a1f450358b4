package resolver

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/mailweir/mailweir/filters"
)

// failureTTL is how long failures are remembered (RFC 9520 section 3.2: at
// least 1 s, at most 5 min).
const failureTTL = 5 * time.Second

// flight is a question that is being put to the servers. Whoever has the same
// question waits for it too.
type flight struct {
	done  chan struct{}
	fresh bool   // asked although the cache may know
	entry *entry // once done
}

// errLate is both what the DNS and what the context says.
var errLate = fmt.Errorf("%w: %w", filters.ErrDNSTimeout, context.DeadlineExceeded)

// ask puts the question to the servers, or waits for the same one.
func (r *Resolver) ask(ctx context.Context, q filters.Question, fresh bool) (filters.Answer, error) {
	k := key{foldName(q.Name), q.Type}
	if detail, reason := unaskable(k); reason != nil {
		return r.fail(q, reason, detail, outcomeOf(reason))
	}
	if ctx.Err() != nil {
		return r.left(ctx, q)
	}
	f, e := r.join(k, fresh)
	switch {
	case e != nil:
		a, err := e.tell(r.Now(), true)
		r.meters.hit(q.Type, err)
		return a, err
	case f == nil && r.life.Err() != nil:
		return r.fail(q, context.Canceled, "the resolver is closed", canceled)
	case f == nil:
		detail := fmt.Sprintf("not asked: the limit is %d", r.MaxInFlight)
		return r.fail(q, filters.ErrDNSBusy, detail, busy)
	}
	select {
	case <-f.done:
	case <-ctx.Done():
		return r.left(ctx, q)
	}
	a, err := f.entry.tell(r.Now(), false)
	r.meters.question(q.Type, outcomeOf(err))
	return a, err
}

// join returns the flight of the question, which it starts if there is none;
// or what has become known meanwhile; or neither if no flight may start.
func (r *Resolver) join(k key, fresh bool) (*flight, *entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f, ok := r.flying[k]; ok {
		r.meters.cached.Add(1, "shared")
		return f, nil
	}
	if !fresh {
		if e := r.cache.get(k, r.Now()); e != nil {
			return nil, e
		}
	}
	if len(r.flying) >= r.MaxInFlight || r.life.Err() != nil {
		return nil, nil
	}
	r.meters.cached.Add(1, "miss")
	f := &flight{done: make(chan struct{}), fresh: fresh}
	r.flying[k] = f
	r.meters.flying.Set(float64(len(r.flying)))
	r.all.Go(func() { r.fly(k, f) })
	return f, nil
}

// fly asks the servers. It does not end with those who wait for it, so that
// whoever asks next finds the answer in the cache.
func (r *Resolver) fly(k key, f *flight) {
	ctx, cancel := context.WithTimeout(r.life, r.Timeout)
	defer cancel()
	start := time.Now()
	found, why := r.seekSafely(ctx, k)
	r.meters.took(time.Since(start))
	f.entry = r.entryOf(k, found, why)
	// A failure does not replace an answer that a fresh look passed over.
	if why == nil || !f.fresh && r.life.Err() == nil {
		r.meters.entries.Set(float64(r.cache.put(k, f.entry)))
	}
	r.mu.Lock()
	delete(r.flying, k)
	r.meters.flying.Set(float64(len(r.flying)))
	r.mu.Unlock()
	close(f.done)
}

// seekSafely makes a failure of a panic: the flight is nobody's session that
// could end.
func (r *Resolver) seekSafely(ctx context.Context, k key) (found finding, why *failure) {
	defer func() {
		if p := recover(); p != nil {
			r.Log.Error("panic while asking name servers", "panic", p, "stack", string(debug.Stack()))
			why = &failure{filters.ErrServFail, "panic while asking: see the log"}
		}
	}()
	return r.seek(ctx, k)
}

// entryOf makes what is remembered of what was found, or of the failure.
func (r *Resolver) entryOf(k key, found finding, why *failure) *entry {
	e := &entry{answer: found.answer, until: r.Now().Add(failureTTL)}
	question := filters.Question{Name: k.name, Type: k.typ}
	switch {
	case why != nil:
		e.err = &filters.DNSError{Question: question, Err: why.err, Detail: why.detail}
		return e
	case found.err != nil:
		e.err = &filters.DNSError{Question: question, Err: found.err, Detail: found.detail}
	}
	e.until = r.Now().Add(min(max(found.ttl, r.MinTTL), r.MaxTTL))
	return e
}

// left tells whoever waits no longer.
func (r *Resolver) left(ctx context.Context, q filters.Question) (filters.Answer, error) {
	err := ctx.Err()
	if errors.Is(err, context.DeadlineExceeded) {
		err = errLate
	}
	return r.fail(q, err, "", outcomeOf(err))
}

func (r *Resolver) fail(q filters.Question, err error, detail string, outcome int) (filters.Answer, error) {
	r.meters.question(q.Type, outcome)
	return filters.Answer{}, &filters.DNSError{Question: q, Err: err, Detail: detail}
}
