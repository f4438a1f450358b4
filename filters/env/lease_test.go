package env_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/env"
)

// thing is something to keep.
type thing struct {
	closed int
	err    error
}

func (k *thing) Close() error {
	k.closed++
	return k.err
}

func TestLease(t *testing.T) {
	h := open(t, env.Options{State: env.State{Entries: 10}})
	defer h.Close()
	made := 0
	keep := func(e filters.Env, key string) *thing {
		return e.Keep(key, func() any { made++; return new(thing) }).(*thing)
	}
	first, second := h.Lease(), h.Lease()
	a := keep(first.Env(), "a")
	if keep(first.Env(), "a") != a || keep(second.Env(), "a") != a {
		t.Error("a key has several values")
	}
	if b := keep(second.Env(), "b"); b == a || made != 2 {
		t.Error("two keys have one value")
	}
	if err := first.End(); err != nil || a.closed != 0 {
		t.Errorf("%v, closed %d times while a lease has it", err, a.closed)
	}
	first.End()
	if keep(h.Lease().Env(), "a") != a {
		t.Error("a second End has dropped what another lease has")
	}
	late := keep(first.Env(), "c")
	if keep(second.Env(), "c") == late {
		t.Error("a lease that has ended keeps")
	}

	third := h.Lease()
	failing := keep(third.Env(), "d")
	failing.err = errors.New("cannot be closed")
	if err := third.End(); !errors.Is(err, failing.err) || failing.closed != 1 {
		t.Errorf("%v, closed %d times", err, failing.closed)
	}
	fourth := h.Lease()
	defer fourth.End()
	if keep(fourth.Env(), "d") == failing {
		t.Error("what nobody had is still there")
	}
	if once, again := keep(h.Env(), "d"), keep(h.Env(), "d"); once == again {
		t.Error("the host's own environment keeps")
	}
}

// Chains are built and closed while others are at work.
func TestLeaseConcurrent(t *testing.T) {
	h := open(t, env.Options{State: env.State{Entries: 10}})
	defer h.Close()
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for range 100 {
				l := h.Lease()
				if l.Env().Keep("a", func() any { return new(thing) }).(*thing).closed != 0 {
					t.Error("a lease got what was closed")
				}
				l.End()
			}
		})
	}
	wait.Wait()
}
