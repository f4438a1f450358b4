package upstream_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailweir/mailweir/proxy/upstream"
)

const (
	one   = "192.0.2.1:25"
	two   = "192.0.2.2:25"
	three = "192.0.2.3:25"
)

// TestFailures takes a server out that fails in some way: the session goes to
// the next at once, and later ones do not try the first.
func TestFailures(t *testing.T) {
	for _, test := range []struct {
		what, manner, want string
		after              time.Duration // until the next server is tried
	}{
		{what: "refuses connections", manner: refuses, want: "connection refused"},
		{what: "is silent", manner: silent, want: "deadline exceeded", after: brief.Connect / 2},
		{what: "does not greet", manner: mute, want: "no greeting", after: brief.Greeting},
		{what: "greets with 421", manner: "421 busy", want: "421 busy"},
		{what: "greets with 554", manner: "554 go away", want: "554 go away"},
		{what: "speaks no SMTP", manner: "SSH-2.0-x", want: "malformed reply"},
	} {
		t.Run(test.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newTown(t)
				w.is(test.manner, one)
				g := w.group(standard("192.0.2.1", "192.0.2.2"))
				start := time.Now()
				if at := w.visit(g); at != two || time.Since(start) != test.after {
					t.Errorf("after %v at %s, want after %v", time.Since(start), at, test.after)
				}
				w.wantDialed(one, two)
				w.visit(g)
				w.wantDialed(two)
				if text := w.log.Take(); strings.Count(text, "server is out") != 1 || !strings.Contains(text, test.want) || !strings.Contains(text, "next_try") {
					t.Errorf("logged %s", text)
				}
				if up := w.tally.get("mailweir_upstream_up", "mx", one); up != 0 {
					t.Errorf("up is %v", up)
				}
			})
		})
	}
}

// TestBackOff leaves a server alone for longer and longer, and until then for
// one session only.
func TestBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		w.is(refuses, one)
		g := w.group(standard("192.0.2.1", "192.0.2.2"))
		w.visit(g)
		for _, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
			want *= time.Second
			start := time.Now()
			time.Sleep(want*8/10 - 10*time.Millisecond)
			for w.dialed(); len(w.dialed()) != 2; time.Sleep(10 * time.Millisecond) {
				w.visit(g)
			}
			if took := time.Since(start); took < want*8/10 || took > want*12/10+20*time.Millisecond {
				t.Errorf("tried again after %v, want %v", took, want)
			}
		}
		if counts := w.logged("server is out", "server is back"); counts[0] != 1 || counts[1] != 0 {
			t.Errorf("logged %v times that it is out and back", counts)
		}
		w.is("", one)
		time.Sleep(90 * time.Second)
		if at := w.visit(g); at != one {
			t.Errorf("after it is back, at %s", at)
		}
		w.is(refuses, one)
		w.visit(g)
		if counts := w.logged("server is out", "server is back"); counts[0] != 1 || counts[1] != 1 {
			t.Errorf("logged %v times that it is out and back", counts)
		}
		w.dialed()
		time.Sleep(1300 * time.Millisecond) // the first back-off again
		w.visit(g)
		w.wantDialed(one, two)
	})
}

// TestOneTries lets one session try a server whose back-off has passed.
func TestOneTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		w.is(refuses, one)
		g := w.group(standard("192.0.2.1", "192.0.2.2"))
		w.visit(g)
		w.is(mute, one)
		time.Sleep(2 * time.Second)
		w.dialed()
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() { w.visit(g) })
		}
		synctest.Wait()
		tried := 0
		for _, a := range w.dialed() {
			if a == one {
				tried++
			}
		}
		if tried != 1 {
			t.Errorf("%d sessions tried it", tried)
		}
		all.Wait()
	})
}

// TestAllOut tries all in order when all are out.
func TestAllOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		w.is(refuses, one, two, three)
		g := w.group(standard("192.0.2.1", "192.0.2.2", "192.0.2.3"))
		for range 3 {
			_, err := g.Open(t.Context(), theClient(), &brief)
			if !errors.Is(err, syscall.ECONNREFUSED) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v", err)
			}
			for _, address := range []string{one, two, three} {
				if !strings.Contains(err.Error(), address) {
					t.Errorf("no word of %s: %v", address, err)
				}
			}
			w.wantDialed(one, two, three)
		}
		w.is("", three)
		if at := w.visit(g); at != three {
			t.Errorf("at %s", at)
		}
		w.wantDialed(one, two, three)
		w.visit(g)
		w.wantDialed(three)
		if counts := w.logged("server is out", "server is back"); counts[0] != 3 || counts[1] != 1 {
			t.Errorf("logged %v times that one is out and back", counts)
		}
		if n := w.tally.get("mailweir_upstream_connects_total", "mx", one, "unreachable"); n != 4 {
			t.Errorf("counted %v attempts that failed", n)
		}
	})
}

// TestSessionEnds blames no server for a session that ends before it is there.
func TestSessionEnds(t *testing.T) {
	for _, manner := range []string{silent, mute} {
		t.Run(manner, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newTown(t)
				w.is(manner, one)
				g := w.group(standard("192.0.2.1", "192.0.2.2"))
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(time.Second, cancel)
				start := time.Now()
				_, err := g.Open(ctx, theClient(), &brief)
				if !errors.Is(err, context.Canceled) || time.Since(start) != time.Second {
					t.Errorf("after %v: %v", time.Since(start), err)
				}
				w.wantDialed(one)
				w.is("", one)
				if at := w.visit(g); at != one {
					t.Errorf("then at %s", at)
				}
				if log := w.log.Take(); log != "" {
					t.Errorf("logged %s", log)
				}
			})
		})
	}
}

// TestPanic ends no more than the session or the check in which it happens.
func TestPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		w.fleet.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			if address == one {
				panic("out of order")
			}
			return w.dial(ctx, network, address)
		}
		g := w.group(checked("192.0.2.1", "192.0.2.2"))
		func() {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			g.Open(t.Context(), theClient(), &brief)
		}()
		if n := w.fleet.Held(); n != 0 {
			t.Errorf("%d are held", n)
		}
		time.Sleep(time.Minute)
		if at := w.visit(g); at != two {
			t.Errorf("connected to %s", at)
		}
		if text := w.log.Take(); !strings.Contains(text, "panic in a check") || strings.Count(text, "server is out") != 1 {
			t.Errorf("logged %s", text)
		}
	})
}

// TestCut ends a connection with its session.
func TestCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		g := w.group(standard("192.0.2.1"))
		ctx, cancel := context.WithCancel(t.Context())
		c, err := g.Open(ctx, theClient(), &brief)
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Second, cancel)
		start := time.Now()
		if _, err := c.Reply(time.Minute); err == nil || time.Since(start) != time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		c.Close()
		c.Close() // does no harm
	})
}

// TestRefusedClient does not take a server out that refuses a client whom it
// knows: the others would be without it.
func TestRefusedClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		w.is("554 5.7.1 not you", one)
		o := standard("192.0.2.1", "192.0.2.2")
		o.Identity, o.ProxyVersion = upstream.PROXY, 1
		w.fleet.Dial = behindHeader(w.dial)
		g := w.group(o)
		for range 3 {
			_, err := g.Open(t.Context(), theClient(), &brief)
			var refusal *upstream.RefusedError
			if !errors.As(err, &refusal) || refusal.Reply.Code != 554 {
				t.Errorf("error %v", err)
			}
			w.wantDialed(one)
		}
		if log := w.log.Take(); log != "" {
			t.Errorf("logged %s", log)
		}
	})
}

// behindHeader returns connections whose first octets are the header of haproxy,
// which no server sees.
func behindHeader(dial func(context.Context, string, string) (net.Conn, error)) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &headed{Conn: conn}, nil
	}
}

type headed struct {
	net.Conn
	past bool
}

func (h *headed) Write(b []byte) (int, error) {
	if !h.past {
		h.past = true
		return len(b), nil
	}
	return h.Conn.Write(b)
}
