// Package lookup asks the DNS several questions at once, within bounds.
package lookup

import (
	"context"
	"fmt"
	"iter"
	"net/netip"
	"runtime/debug"
	"sync"
	"time"

	"github.com/mailweir/mailweir/filters"
)

// MaxNames is how many of the names that an answer lists are looked up: others
// choose what they list.
const MaxNames = 10

// Patience returns how long a filter may look up before it gives up by itself,
// with an error that says what failed: a bit less than the entry's timeout, or
// than the one of the kind where there is none.
func Patience(entry, kind time.Duration) time.Duration {
	if entry <= 0 {
		entry = kind
	}
	return entry * 9 / 10
}

// Result is the answer to one of several questions.
type Result struct {
	At       int // the place of the question
	Question filters.Question
	Answer   filters.Answer
	Err      error
}

// Each yields what is known of the questions, then asks all others at once and
// yields the results as they come. When the loop is left, what is still under way
// is called off, and has ended.
func Each(ctx context.Context, r filters.Resolver, questions []filters.Question) iter.Seq[Result] {
	return func(yield func(Result) bool) {
		var open []int
		for i, q := range questions {
			a, err, ok := known(r, q)
			if !ok {
				open = append(open, i)
			} else if !yield(Result{i, q, a, err}) {
				return
			}
		}
		if len(open) > 0 {
			each(ctx, r, questions, open, yield)
		}
	}
}

// each asks those of the questions that are open.
func each(ctx context.Context, r filters.Resolver, questions []filters.Question, open []int, yield func(Result) bool) {
	ctx, cancel := context.WithCancel(ctx)
	results := make(chan Result, len(open))
	var asking sync.WaitGroup
	defer asking.Wait()
	defer cancel()
	for _, i := range open {
		asking.Go(func() {
			a, err := ask(ctx, r, questions[i])
			results <- Result{i, questions[i], a, err}
		})
	}
	for range open {
		if !yield(<-results) {
			return
		}
	}
}

// known answers from memory. A resolver that panics is asked, and panics then.
func known(r filters.Resolver, q filters.Question) (a filters.Answer, err error, ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	return r.Known(q)
}

// ask makes a panic an error: it must not end the process.
func ask(ctx context.Context, r filters.Resolver, q filters.Question) (a filters.Answer, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic while asking for %s %s: %v\n%s", q.Type, q.Name, p, debug.Stack())
		}
	}()
	return r.Lookup(ctx, q)
}

// Family returns the type of records that hold addresses such as a.
func Family(a netip.Addr) filters.RecordType {
	if a.Unmap().Is4() {
		return filters.TypeA
	}
	return filters.TypeAAAA
}
