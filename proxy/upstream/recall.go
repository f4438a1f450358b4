package upstream

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/mailweir/mailweir/filters"
)

// recall keeps the last good answer of the DNS, which stays in use when the DNS
// fails. It is safe for concurrent use.
type recall[T any] struct {
	mu      sync.Mutex
	answer  T
	known   bool
	failing bool
	pause   time.Time // until then it is not asked again
}

// lookupPatience bounds how long an old answer is withheld while the DNS is
// asked for a new one; lookupPause is how long it is not asked after a failure.
const (
	lookupPatience = 2 * time.Second
	lookupPause    = 10 * time.Second
)

// ask returns what find finds, or what it has found before if the DNS fails.
// That there is nothing is an answer too.
func (r *recall[T]) ask(ctx context.Context, log *slog.Logger, find func(context.Context) (T, error)) (T, error) {
	r.mu.Lock()
	old, known := r.answer, r.known
	paused := time.Now().Before(r.pause)
	r.mu.Unlock()
	if known && paused {
		return old, nil
	}
	bounded := ctx
	if known {
		var cancel context.CancelFunc
		bounded, cancel = context.WithTimeout(ctx, lookupPatience)
		defer cancel()
	}
	answer, err := find(bounded)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err == nil:
		r.answer, r.known, r.failing, r.pause = answer, true, false, time.Time{}
		return answer, nil
	case !r.known || filters.NotFound(err) || ctx.Err() != nil:
		return answer, err
	}
	r.pause = time.Now().Add(lookupPause)
	if !r.failing {
		r.failing = true
		log.Warn("upstream: the DNS fails, the last answer stays in use", "error", err.Error())
	}
	return r.answer, nil
}
