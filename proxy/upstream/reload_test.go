package upstream_test

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailweir/mailweir/proxy/upstream"
)

// TestReload keeps what is known of a server when another configuration names
// it too.
func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		w.is(refuses, one)
		old := w.fleet.Group(standard("192.0.2.1", "192.0.2.2", "192.0.2.3"))
		c := w.enter(old)
		w.dialed()

		o := standard("192.0.2.1", "192.0.2.2")
		o.MaxConnections = 1
		g := w.fleet.Group(o)
		old.Close()
		old.Close() // does no harm
		if n := w.fleet.Held(); n != 1 {
			t.Errorf("%d are held", n)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := g.Open(ctx, theClient(), &brief); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("two connections to a server that takes one: %v", err)
		}
		w.wantDialed() // the other is known to be out
		if up := w.tally.get("mailweir_upstream_up", "mx", three); !math.IsNaN(up) {
			t.Errorf("up of the server that is gone is %v", up)
		}
		c.Quit()
		if at := w.visit(g); at != two {
			t.Errorf("connected to %s", at)
		}
		if counts := w.logged("server is out"); counts[0] != 1 {
			t.Errorf("logged %d times that it is out", counts[0])
		}
		g.Close()
	})
}

// TestReloadRaises gives those who wait the places that a new configuration has.
func TestReloadRaises(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		o := standard("192.0.2.1")
		o.MaxConnections = 1
		g := w.group(o)
		c := w.enter(g)
		time.AfterFunc(time.Second, func() {
			o.MaxConnections = 2
			w.group(o)
		})
		start := time.Now()
		w.visit(g)
		if took := time.Since(start); took != time.Second {
			t.Errorf("waited for %v", took)
		}
		c.Quit()
	})
}

// TestClosedEarly closes a group whose connections are open, and makes one of
// the same name before they end: they still count.
func TestClosedEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		o := standard("192.0.2.1")
		o.MaxConnections = 1
		old := w.fleet.Group(o)
		c := w.enter(old)
		old.Close()
		if n := w.fleet.Held(); n != 1 {
			t.Errorf("%d are held", n)
		}
		g := w.group(o)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := g.Open(ctx, theClient(), &brief); err == nil {
			t.Error("two connections to a server that takes one")
		}
		c.Quit()
		w.visit(g)
	})
}

// TestGone forgets a server with its last connection.
func TestGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		old := w.fleet.Group(standard("192.0.2.1", "192.0.2.2"))
		w.is(refuses, one)
		c := w.enter(old)
		g := w.group(standard("192.0.2.3"))
		old.Close()
		if n := w.fleet.Held(); n != 1 {
			t.Errorf("%d are held", n)
		}
		c.Quit()
		if n := w.fleet.Known(); n != 1 {
			t.Errorf("%d servers are known", n)
		}
		if at := w.visit(g); at != three {
			t.Errorf("connected to %s", at)
		}
		again := w.group(standard("192.0.2.1", "192.0.2.3"))
		w.is("", one)
		if at := w.visit(again); at != one {
			t.Errorf("a server that was gone is still out: connected to %s", at)
		}
	})
}

// TestLateSession lets a session open connections when its group is closed.
func TestLateSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		o := standard("192.0.2.1")
		o.Reuse = true
		g := w.fleet.Group(o)
		g.Close()
		c := w.enter(g)
		if c.Keep() {
			t.Error("kept for nobody")
		}
		if n := w.fleet.Known(); n != 0 {
			t.Errorf("%d servers are known", n)
		}
	})
}

// TestRecipientsKept keeps the memory of refused recipients across reloads,
// unless its settings change.
func TestRecipientsKept(t *testing.T) {
	w := newTown(t)
	o := standard("192.0.2.1")
	if w.group(o).Recipients() != nil {
		t.Error("a memory that nobody asked for")
	}
	o.Recipients = &upstream.RecipientOptions{TTL: time.Hour, Refresh: time.Minute, Entries: 10}
	first := w.group(o).Recipients()
	same := *o.Recipients
	o.Recipients = &same
	if first == nil || w.group(o).Recipients() != first {
		t.Error("the memory is lost")
	}
	o.Recipients = &upstream.RecipientOptions{TTL: time.Hour, Refresh: time.Minute, Entries: 20}
	if w.group(o).Recipients() == first {
		t.Error("the memory has the old size")
	}
}
