package upstream_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailweir/mailweir/proxy/upstream"
)

// A group is up as long as one of its servers is, as far as that is known.
func TestUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		o := standard("192.0.2.1", "192.0.2.2")
		o.Health = upstream.Health{Interval: 10 * time.Second, Timeout: time.Second}
		g := w.group(o)
		want := func(up bool, when string) {
			t.Helper()
			if g.Up() != up {
				t.Errorf("%s: up is %v", when, !up)
			}
		}
		want(true, "before anything is known")
		w.is(refuses, "192.0.2.1:25")
		time.Sleep(30 * time.Second)
		want(true, "one is out")
		w.is(refuses, "192.0.2.2:25")
		time.Sleep(30 * time.Second)
		for range 100 { // whatever the back-off is about
			want(false, "both are out")
			time.Sleep(time.Second)
		}
		w.is("", "192.0.2.1:25")
		time.Sleep(2 * time.Minute)
		want(true, "one is back")
	})
}

// Nobody looks at a server alone but sessions: once it may be tried again they
// must come, or it would be out for good.
func TestUpAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		o := standard("192.0.2.1")
		o.Health = upstream.Health{Interval: 10 * time.Second, Timeout: time.Second}
		o.BackOff = upstream.BackOff{First: 10 * time.Second, Max: 10 * time.Second}
		g := w.group(o)
		w.is(refuses, "192.0.2.1:25")
		if _, err := g.Open(t.Context(), theClient(), &brief); err == nil || g.Up() {
			t.Errorf("%v, up is %v right after a failure", err, g.Up())
		}
		time.Sleep(12 * time.Second)
		if !g.Up() {
			t.Error("it is not up when it may be tried again")
		}
		w.is("", "192.0.2.1:25")
		w.visit(g)
		if !g.Up() {
			t.Error("it is not up when it is back")
		}
	})
}

// What is found in the DNS is up until it has failed.
func TestUpUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		o := standard()
		o.Servers = []upstream.Server{{Kind: upstream.SRV, Host: "_smtp._tcp.example", Weight: 1}}
		if !w.group(o).Up() {
			t.Error("a group is not up of which nothing is known")
		}
	})
}

// Steps are counted by group, connections too.
func TestSteps(t *testing.T) {
	w := newTown(t)
	g := w.group(standard("192.0.2.1"))
	w.visit(g)
	g.Took(upstream.EndOfData, time.Second)
	for step, want := range map[string]float64{"connect": 1, "end_of_data": 1, "mail": 0} {
		if got := w.tally.get("mailweir_upstream_seconds", "mx", step); got != want {
			t.Errorf("%s: %v, want %v", step, got, want)
		}
	}
}
