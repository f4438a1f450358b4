package upstream_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailweir/mailweir/proxy/upstream"
)

// checked are options of servers that are checked each half minute.
func checked(hosts ...string) upstream.Options {
	o := standard(hosts...)
	o.Health = upstream.Health{Interval: 30 * time.Second, Timeout: 10 * time.Second}
	return o
}

// times returns how often an address was dialed since the last time.
func (w *town) times(address string) (n int) {
	for _, a := range w.dialed() {
		if a == address {
			n++
		}
	}
	return n
}

// TestChecks looks at servers that nobody uses, about once in each interval, and
// finds those that fail before a session does.
func TestChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		g := w.group(checked("192.0.2.1", "192.0.2.2"))
		time.Sleep(10 * time.Minute)
		calls := w.dialed()
		for _, address := range []string{one, two} {
			n := 0
			for _, a := range calls {
				if a == address {
					n++
				}
			}
			if n < 600/36 || n > 600/24+1 {
				t.Errorf("%s was checked %d times in ten minutes", address, n)
			}
		}
		if w.quits() != len(calls) {
			t.Errorf("%d checks ended by QUIT, of %d", w.quits(), len(calls))
		}
		if up := w.tally.get("mailweir_upstream_up", "mx", two); up != 1 {
			t.Errorf("up is %v", up)
		}
		w.is(mute, one)
		time.Sleep(46 * time.Second) // the longest interval and the time-out
		if counts := w.logged("server is out"); counts[0] != 1 {
			t.Errorf("logged %d times that it is out", counts[0])
		}
		if at := w.visit(g); at != two {
			t.Errorf("connected to %s", at)
		}
		w.is("", one)
		time.Sleep(2 * time.Minute)
		if counts := w.logged("server is back"); counts[0] != 1 {
			t.Errorf("logged %d times that it is back", counts[0])
		}
		if n := w.fleet.Held(); n != 0 {
			t.Errorf("checks count as %d sessions", n)
		}
	})
}

// TestCheckBackOff checks a server that is out when its back-off has passed, and
// never twice at once.
func TestCheckBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		w.is(refuses, one)
		g := w.group(checked("192.0.2.1", "192.0.2.2"))
		w.visit(g)
		w.dialed()
		time.Sleep(8 * time.Second)
		if n := w.times(one); n < 2 || n > 4 { // after 1, 2 and 4 seconds
			t.Errorf("checked %d times", n)
		}
		w.is(mute, one)
		time.Sleep(10 * time.Second)
		w.dialed()
		w.visit(g) // while a check waits for the greeting
		w.wantDialed(two)
	})
}

// TestNoChecks leaves servers alone that need no checks.
func TestNoChecks(t *testing.T) {
	single := checked("192.0.2.1")
	never := checked("192.0.2.1", "192.0.2.2")
	never.Health.Interval = 0
	for what, o := range map[string]upstream.Options{"one server": single, "no interval": never} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newTown(t)
				w.group(o)
				time.Sleep(time.Hour)
				w.wantDialed()
			})
		})
	}
}

// TestCheckedInUse does not check servers that have sessions, nor once nobody
// wants it.
func TestCheckedInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		g := w.fleet.Group(checked("192.0.2.1", "192.0.2.2"))
		c := w.enter(g)
		w.dialed()
		time.Sleep(10 * time.Minute)
		if calls := w.dialed(); slices.Contains(calls, one) || !slices.Contains(calls, two) {
			t.Errorf("checked %v", calls)
		}
		c.Quit()
		time.Sleep(time.Minute)
		if n := w.times(one); n == 0 {
			t.Error("not checked when its session had ended")
		}
		other := w.fleet.Group(standard("192.0.2.1", "192.0.2.2")) // without checks
		time.Sleep(time.Minute)
		w.dialed()
		time.Sleep(time.Hour)
		w.wantDialed()
		other.Close()
		time.Sleep(time.Minute)
		if n := w.times(one); n == 0 {
			t.Error("not checked when the options without checks were gone")
		}
		g.Close()
		w.dialed()
		time.Sleep(time.Hour)
		w.wantDialed()
	})
}

// TestDoubt has a check show whether it is the server or the client, when a
// server fails in a way that may be due to either.
func TestDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		w.fleet.Dial = behindHeader(w.dial)
		o := checked("192.0.2.1", "192.0.2.2")
		o.Identity, o.ProxyVersion = upstream.PROXY, 1
		g := w.group(o)
		c := w.enter(g) // so that it is not checked without reason
		w.is("421 no", one)
		for range 5 {
			w.dialed()
			if at := w.visit(g); at != two {
				t.Errorf("connected to %s", at)
			}
			w.wantDialed(one, two)
		}
		if log := w.log.Take(); log != "" {
			t.Errorf("one client's trouble has taken it out: %s", log)
		}
		time.Sleep(7 * time.Second)
		if n := w.times(one); n == 0 {
			t.Error("not checked")
		}
		if counts := w.logged("server is out"); counts[0] != 1 {
			t.Errorf("logged %d times that it is out", counts[0])
		}
		c.Quit()
	})
}

// TestDoubtOfASession looks soon at a server that has failed behind its greeting, although
// sessions use it.
func TestDoubtOfASession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		g := w.group(checked("192.0.2.1", "192.0.2.2"))
		busy := w.enter(g)
		defer busy.Close()
		w.is(sorry, one)
		c := w.enter(g)
		c.Doubt()
		c.Close()
		time.Sleep(10 * time.Second)
		if counts := w.logged("server is out"); counts[0] != 1 {
			t.Errorf("logged %d times that it is out", counts[0])
		}
		if at := w.visit(g); at != two {
			t.Errorf("connected to %s", at)
		}
	})
}
