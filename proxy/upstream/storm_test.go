package upstream_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/mailweir/mailweir/proxy/upstream"
)

// TestStorm has many sessions come and go while servers fail and return, names
// change, and configurations are loaded. No connection may be lost count of, nor
// may there be more to a server than it takes.
func TestStorm(t *testing.T) {
	const limit = 4
	w := newTown(t)
	w.tell("example MX 1 a.example\nexample MX 2 b.example\na.example A 192.0.2.3\nb.example A 192.0.2.4\nb.example AAAA 2001:db8::4")
	options := func() upstream.Options {
		o := standard("192.0.2.1", "192.0.2.2")
		o.Servers = append(o.Servers, upstream.Server{Kind: upstream.MX, Host: "example", Weight: 1})
		o.Servers = o.Servers[rand.N(3):]
		o.Balance = upstream.Balance(rand.N(3))
		o.Reuse, o.ReuseIdle, o.MaxConnections = rand.N(3) > 0, time.Millisecond, limit
		o.Health = upstream.Health{Interval: time.Millisecond, Timeout: 5 * time.Millisecond}
		o.BackOff = upstream.BackOff{First: time.Millisecond, Max: 4 * time.Millisecond}
		return o
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	var mu sync.Mutex
	g := w.fleet.Group(options())
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for ctx.Err() == nil {
				mu.Lock()
				now := g
				mu.Unlock()
				w.stormy(ctx, now)
			}
		})
	}
	for ctx.Err() == nil {
		w.is([]string{"", "", "", refuses, silent, mute, "421 no"}[rand.N(7)], []string{one, two, three, "192.0.2.4:25"}[rand.N(4)])
		next := w.fleet.Group(options())
		mu.Lock()
		next, g = g, next
		mu.Unlock()
		next.Close()
		time.Sleep(time.Millisecond)
	}
	all.Wait()
	g.Close()
	w.fleet.Close()
	if n := w.fleet.Known(); n != 0 {
		t.Errorf("%d servers are known in the end", n)
	}
	if n := w.open; n != 0 {
		t.Errorf("%d connections are open in the end", n)
	}
}

// stormy is one session.
func (w *town) stormy(ctx context.Context, g *upstream.Group) {
	ctx, cancel := context.WithTimeout(ctx, rand.N(20*time.Millisecond))
	defer cancel()
	hasty := upstream.Timeouts{Connect: 5 * time.Millisecond, Greeting: 5 * time.Millisecond, Other: 5 * time.Millisecond}
	c, err := g.Open(ctx, theClient(), &hasty)
	if err != nil {
		return
	}
	switch rand.N(4) {
	case 0:
		c.Close()
	case 1:
		c.Quit()
	default:
		c.Keep()
	}
}

// TestLimit never has more connections to a server than it takes, those that are
// kept included.
func TestLimit(t *testing.T) {
	const limit = 3
	w := newTown(t)
	o := reusing()
	o.MaxConnections = limit
	g := w.group(o)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 200 {
				c, err := g.Open(t.Context(), theClient(), &brief)
				if err != nil {
					t.Error(err)
					return
				}
				if rand.N(2) == 0 {
					c.Keep()
				} else {
					c.Quit()
				}
			}
		})
	}
	all.Wait()
	if w.most != limit {
		t.Errorf("%d connections at once, want %d", w.most, limit)
	}
}
