package filters

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
)

// FactInfo describes a fact: something that one filter learns and others, the
// rules and the log may use.
type FactInfo struct {
	Name string // kind.word, such as "client.name"
	Doc  string // what it is, with its unit
}

// noFact is ErrNoFact of the fact of that name. Filters ask for facts that are not
// there in each session: it is made as cheaply as can be.
type noFact string

func (e noFact) Error() string { return string(e) + ": " + ErrNoFact.Error() }

func (noFact) Unwrap() error { return ErrNoFact }

// Fact is a typed fact. Declare each once, as a package variable of the kind
// that sets it, and list its Info in that Kind's Sets.
type Fact[T any] struct{ Info FactInfo }

// NewFact declares a fact.
func NewFact[T any](name, doc string) Fact[T] { return Fact[T]{FactInfo{name, doc}} }

// ErrNoFact is returned for a fact that no filter has set.
var ErrNoFact = errors.New("fact not set")

// Set stores v, in place of an earlier value.
func (f Fact[T]) Set(h Holder, v T) {
	h.facts().put(&factSlot{name: f.Info.Name, value: v})
}

// Go learns the fact in the background, so that a later stage need not wait
// for all of it. The context ends with the session or transaction that holds
// the fact, and learn must end then; its panic becomes an error.
func (f Fact[T]) Go(h Holder, learn func(context.Context) (T, error)) {
	slot := &factSlot{name: f.Info.Name, done: make(chan struct{})}
	ctx := h.facts().put(slot)
	go func() {
		defer close(slot.done)
		defer func() {
			if p := recover(); p != nil {
				slot.err = fmt.Errorf("panic while learning %s: %v\n%s", f.Info.Name, p, debug.Stack())
			}
		}()
		slot.value, slot.err = learn(ctx)
	}()
}

// Get returns the fact, waiting for it when it is still being learnt. It fails
// with ErrNoFact, the learner's error, or the context's.
func (f Fact[T]) Get(ctx context.Context, h Holder) (T, error) {
	value, err := LookupFact(ctx, h, f.Info.Name)
	v, _ := value.(T) // a nil value of an interface type has no type to assert
	return v, err
}

// LookupFact is Get for a fact whose name stands in the configuration.
func LookupFact(ctx context.Context, h Holder, name string) (any, error) {
	slot := h.facts().get(name)
	if slot == nil {
		return nil, noFact(name)
	}
	if slot.done != nil {
		select {
		case <-slot.done:
		case <-ctx.Done():
			return nil, fmt.Errorf("%s: %w", name, ctx.Err())
		}
	}
	if slot.err != nil {
		return nil, slot.err
	}
	return slot.value, nil
}

// Holder is a *Session or a *Transaction.
type Holder interface{ facts() *Facts }

// Facts holds the facts of one session or transaction. It is safe for
// concurrent use; the zero value is empty. Filters use it through Fact only.
type Facts struct {
	mu     sync.Mutex
	list   []*factSlot
	parent context.Context
	ctx    context.Context // of what is learnt in the background; nil before the first
	cancel context.CancelFunc
}

type factSlot struct {
	name  string
	done  chan struct{} // nil when the value was set at once
	value any
	err   error
}

func (f *Facts) facts() *Facts { return f }

// Begin empties the facts and bounds the life of what is learnt in the
// background. The chain calls it when a session or transaction starts.
func (f *Facts) Begin(parent context.Context) {
	f.End()
	f.parent = parent
}

// End stops what is being learnt, waits for it, and forgets all facts. The
// chain calls it when the session or transaction is over.
func (f *Facts) End() {
	for {
		done := f.stop()
		if done == nil {
			return
		}
		<-done
	}
}

// stop cancels what is being learnt and returns one to wait for. Once nothing
// runs it empties the facts and returns nil: not earlier, since learners may
// set facts and learn others until they have ended.
func (f *Facts) stop() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cancel != nil {
		f.cancel()
	}
	for _, slot := range f.list {
		if slot.running() {
			return slot.done
		}
	}
	clear(f.list)
	f.list, f.ctx, f.cancel = f.list[:0], nil, nil
	return nil
}

// put adds the slot and returns the context for learning it, if it needs one.
func (f *Facts) put(slot *factSlot) context.Context {
	f.mu.Lock()
	defer f.mu.Unlock()
	if slot.done != nil && f.ctx == nil {
		parent := f.parent
		if parent == nil {
			parent = context.Background()
		}
		f.ctx, f.cancel = context.WithCancel(parent)
	}
	f.list = slices.DeleteFunc(f.list, func(old *factSlot) bool {
		return old.name == slot.name && !old.running()
	})
	f.list = append(f.list, slot)
	return f.ctx
}

// get returns the newest slot of that name: an older one may still run.
func (f *Facts) get(name string) *factSlot {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := len(f.list) - 1; i >= 0; i-- {
		if f.list[i].name == name {
			return f.list[i]
		}
	}
	return nil
}

func (s *factSlot) running() bool {
	if s.done == nil {
		return false
	}
	select {
	case <-s.done:
		return false
	default:
		return true
	}
}
