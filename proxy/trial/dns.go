package trial

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/mailweir/mailweir/filters"
)

// Questions notes whose questions for the DNS were not asked.
type Questions struct {
	mu   sync.Mutex
	list []string
}

// Names returns the names of the entries that had some, in order.
func (q *Questions) Names() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	slices.Sort(q.list)
	return slices.Clone(q.list)
}

func (q *Questions) note(entry string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !slices.Contains(q.list, entry) {
		q.list = append(q.list, entry)
	}
}

// Keep returns the kind with a resolver that asks nobody, for the entry of that
// name.
func (q *Questions) Keep(k filters.Kind, entry string) filters.Kind {
	build := k.New
	k.New = func(env filters.Env, conf any) (filters.Filter, error) {
		env.Resolver = silent{q, entry}
		return build(env, conf)
	}
	return k
}

// ErrUnasked is why a question for the DNS has no answer.
var ErrUnasked = errors.New("not asked without --live")

// silent is a resolver that asks nobody.
type silent struct {
	*Questions
	entry string
}

// Lookup implements filters.Resolver.
func (s silent) Lookup(_ context.Context, q filters.Question) (filters.Answer, error) {
	s.note(s.entry)
	return filters.Answer{}, &filters.DNSError{Question: q, Err: ErrUnasked}
}

// Known implements filters.Resolver.
func (silent) Known(filters.Question) (filters.Answer, error, bool) {
	return filters.Answer{}, nil, false
}

// Fresh implements filters.Resolver.
func (s silent) Fresh() filters.Resolver { return s }
