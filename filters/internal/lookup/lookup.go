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

// Each asks all questions at once and yields the results as they come. When the
// loop is left, what is still under way is called off, and has ended.
func Each(ctx context.Context, r filters.Resolver, questions []filters.Question) iter.Seq[Result] {
	return func(yield func(Result) bool) {
		ctx, cancel := context.WithCancel(ctx)
		results := make(chan Result, len(questions))
		var asking sync.WaitGroup
		defer asking.Wait()
		defer cancel()
		for i, q := range questions {
			asking.Go(func() {
				a, err := ask(ctx, r, q)
				results <- Result{i, q, a, err}
			})
		}
		for range questions {
			if !yield(<-results) {
				return
			}
		}
	}
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
