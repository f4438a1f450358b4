package upstream_test

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailweir/mailweir/proxy/upstream"
)

// reusing are options of one server whose connections are kept.
func reusing() upstream.Options {
	o := standard("192.0.2.1")
	o.Reuse = true
	return o
}

// talk has commands answered.
func (w *town) talk(c *upstream.Conn, commands ...string) {
	w.Helper()
	for _, command := range commands {
		c.Line([]byte(command))
		if err := c.Flush(time.Second); err != nil {
			w.Error(err)
		}
		if _, err := c.Reply(time.Second); err != nil {
			w.Error(err)
		}
	}
}

// TestKeep gives the latest connection to the next session.
func TestKeep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		g := w.group(reusing())
		a, b := w.enter(g), w.enter(g)
		if a.Reused() || !a.Keep() || !b.Keep() {
			t.Error("not kept")
		}
		if n := w.tally.get("mailweir_upstream_connections", "mx", one); n != 2 || w.fleet.Held() != 0 {
			t.Errorf("counted %v connections, %d held", n, w.fleet.Held())
		}
		c, d, e := w.enter(g), w.enter(g), w.enter(g)
		if c != b || d != a || !c.Reused() || e.Reused() {
			t.Error("not the latest first")
		}
		w.talk(c, "EHLO again")
		w.wantDialed(one, one, one)
		if n := w.tally.get("mailweir_upstream_reused_total", "mx"); n != 2 || w.fleet.Held() != 3 {
			t.Errorf("counted %v reused, %d held", n, w.fleet.Held())
		}
		for _, c := range []*upstream.Conn{c, d, e} {
			c.Close()
		}
	})
}

// TestNotKept ends connections by QUIT that no other session should have.
func TestNotKept(t *testing.T) {
	for _, test := range []struct {
		what   string
		change func(*upstream.Options)
		use    func(*town, *upstream.Conn)
	}{
		{what: "not wanted", change: func(o *upstream.Options) { o.Reuse = false }},
		{what: "another identity", change: func(o *upstream.Options) { o.Identity = upstream.Transparent }},
		{what: "too many errors", use: func(w *town, c *upstream.Conn) {
			for range 10 {
				w.talk(c, "FAIL")
			}
		}},
		{what: "too old", use: func(*town, *upstream.Conn) { time.Sleep(5 * time.Minute) }},
		{what: "something is queued", use: func(_ *town, c *upstream.Conn) { c.Line([]byte("NOOP")) }},
		{what: "new configuration without reuse", use: func(w *town, _ *upstream.Conn) { w.group(standard("192.0.2.1")) }},
		{what: "new configuration with fewer connections", use: func(w *town, _ *upstream.Conn) {
			o := reusing()
			o.MaxConnections = 0
			w.group(o)
		}},
	} {
		t.Run(test.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newTown(t)
				o := reusing()
				if test.change != nil {
					test.change(&o)
				}
				w.fleet.SetDialFrom(fromAnywhere(w.dial))
				c := w.enter(w.group(o))
				if test.use != nil {
					test.use(w, c)
				}
				if c.Keep() {
					t.Error("kept")
				}
				if n := w.fleet.Held(); n != 0 {
					t.Errorf("%d are held", n)
				}
				synctest.Wait()
				if w.quits() != 1 {
					t.Error("not ended by QUIT")
				}
			})
		})
	}
}

// TestWornOut ends a connection that has served many sessions.
func TestWornOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		g := w.group(reusing())
		kept := 0
		for w.enter(g).Keep() {
			kept++
		}
		if kept != 99 {
			t.Errorf("it has served %d sessions", kept+1)
		}
	})
}

// TestKeptIdle ends connections that nobody has used for a while.
func TestKeptIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		g := w.group(reusing())
		a, b, c := w.enter(g), w.enter(g), w.enter(g)
		a.Keep()
		time.Sleep(10 * time.Second)
		b.Keep()
		c.Keep()
		for _, step := range []struct {
			after time.Duration
			quits int
		}{{19 * time.Second, 0}, {2 * time.Second, 1}, {8 * time.Second, 1}, {2 * time.Second, 3}} {
			time.Sleep(step.after)
			if n := w.quits(); n != step.quits {
				t.Errorf("%d have ended, want %d", n, step.quits)
			}
		}
		w.enter(g).Keep() // the timer starts again
		time.Sleep(31 * time.Second)
		if n := w.quits(); n != 4 {
			t.Errorf("%d have ended, want all", n)
		}
	})
}

// TestKeptGone ends connections to servers that no configuration names any more.
func TestKeptGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		g := w.fleet.Group(reusing())
		w.enter(g).Keep()
		g.Close()
		synctest.Wait()
		if w.quits() != 1 || w.fleet.Known() != 0 {
			t.Errorf("%d ended by QUIT, %d servers are known", w.quits(), w.fleet.Known())
		}
	})
}

// TestKeptForWaiting gives a connection to who waits for a place.
func TestKeptForWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		o := reusing()
		o.MaxConnections = 1
		g := w.group(o)
		c := w.enter(g)
		time.AfterFunc(time.Second, func() { c.Keep() })
		if next := w.enter(g); next != c {
			t.Error("another connection")
		}
		w.wantDialed(one)
		c.Close()
	})
}

// TestKeptNotCut binds a connection to the session that has it.
func TestKeptNotCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		g := w.group(reusing())
		first, cancel := context.WithCancel(t.Context())
		c, err := g.Open(first, theClient(), &brief)
		if err != nil {
			t.Fatal(err)
		}
		c.Keep()
		cancel()
		second, cancel := context.WithCancel(t.Context())
		if c, err = g.Open(second, theClient(), &brief); err != nil || !c.Reused() {
			t.Fatal("not the same connection: ", err)
		}
		w.talk(c, "EHLO again")
		cancel()
		synctest.Wait()
		if _, err := c.Reply(time.Second); err == nil || !strings.Contains(err.Error(), "closed") {
			t.Errorf("not cut with its session: %v", err)
		}
		if c.Keep() {
			t.Error("kept when it was cut")
		}
	})
}

// TestKeptAcrossReload lets the sessions of a new configuration have the
// connections of the old one, if nothing has changed that matters.
func TestKeptAcrossReload(t *testing.T) {
	for _, test := range []struct {
		what   string
		change func(*upstream.Options)
		reused bool
	}{
		{"nothing", func(*upstream.Options) {}, true},
		{"more connections", func(o *upstream.Options) { o.MaxConnections++ }, true},
		{"our name", func(o *upstream.Options) { o.Hostname = "other.example" }, false},
		{"protocol", func(o *upstream.Options) { o.LMTP = true }, false},
		{"no reuse", func(o *upstream.Options) { o.Reuse = false }, false},
	} {
		t.Run(test.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newTown(t)
				o := reusing()
				old := w.fleet.Group(o)
				w.enter(old).Keep()
				test.change(&o)
				g := w.group(o)
				old.Close()
				c := w.enter(g)
				defer c.Close()
				if c.Reused() != test.reused {
					t.Errorf("reused: %v", c.Reused())
				}
				synctest.Wait()
				if n := w.quits(); n == 0 != test.reused {
					t.Errorf("%d ended by QUIT", n)
				}
			})
		})
	}
}

// TestKeptLost passes over connections that the server has closed, or said
// something on.
func TestKeptLost(t *testing.T) {
	for _, last := range []string{"", "421 too long"} {
		t.Run(last, func(t *testing.T) {
			addr := play(t, func(m *mta) {
				m.say("220 mta.example")
				if m.n == 0 {
					m.answer("NOOP", "250 fine")
					m.hear("NOOP")
					if last == "" {
						return
					}
					m.say("250 fine", last)
				}
				io.Copy(io.Discard, m.in)
			})
			s := behind(t, addr, upstream.Options{Reuse: true, ReuseIdle: time.Minute})
			c, err := s.open(t, theClient())
			if err != nil {
				t.Fatal(err)
			}
			c.Line([]byte("NOOP"))
			c.Flush(time.Second)
			if _, err := c.Reply(10 * time.Second); err != nil {
				t.Fatal(err)
			}
			c.Line([]byte("NOOP"))
			c.Flush(time.Second)
			for end := time.Now().Add(10 * time.Second); c.Ready() == nil && time.Now().Before(end); {
			}
			if !c.Keep() {
				t.Error("not kept")
			}
			next, err := s.open(t, theClient())
			if err != nil || next.Reused() {
				t.Errorf("reused, or %v", err)
			}
			if err == nil {
				next.Close()
			}
		})
	}
}

// TestFleetEnds says QUIT on all connections that nobody uses, and leaves those
// of sessions to them.
func TestFleetEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		g := w.group(reusing())
		a, b := w.enter(g), w.enter(g)
		a.Keep()
		w.fleet.Close()
		if n := w.quits(); n != 1 {
			t.Errorf("%d ended by QUIT", n)
		}
		w.talk(b, "NOOP")
		if b.Keep() {
			t.Error("kept when all has ended")
		}
		if n := w.fleet.Held(); n != 0 {
			t.Errorf("%d are held", n)
		}
		w.fleet.Close() // does no harm
	})
}

// TestFarewellBounded does not wait for servers that are slow to say goodbye.
func TestFarewellBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		w.fleet.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			near, far := net.Pipe()
			go func() {
				io.WriteString(far, "220 mta.example\r\n")
				io.Copy(io.Discard, far)
			}()
			return near, nil
		}
		g := w.group(reusing())
		var all []*upstream.Conn
		for range 20 {
			all = append(all, w.enter(g))
		}
		for _, c := range all {
			c.Keep()
		}
		start := time.Now()
		w.fleet.Close()
		if took := time.Since(start); took > 6*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}
