package upstream_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailweir/mailweir/proxy/upstream"
)

// shares opens that many connections, which it leaves open if keep is set, and
// returns which share of them each server had.
func (w *town) shares(g *upstream.Group, n int, keep bool) map[string]float64 {
	w.Helper()
	all := map[string]float64{}
	for range n {
		c := w.enter(g)
		all[c.Server()] += 1 / float64(n)
		if keep {
			w.Cleanup(c.Close)
		} else {
			c.Close()
		}
	}
	return all
}

// wantShares compares shares, which may differ a little.
func (w *town) wantShares(got, want map[string]float64, give float64) {
	w.Helper()
	for server := range got {
		if _, ok := want[server]; !ok {
			w.Errorf("%s had %.3f of the sessions", server, got[server])
		}
	}
	for server, share := range want {
		if got[server] < share-give || got[server] > share+give {
			w.Errorf("%s had %.3f of the sessions, want %.3f", server, got[server], share)
		}
	}
}

// balanceZone is where the servers of TestBalance are.
const balanceZone = `
_smtp._tcp.example SRV 10 3 25 a.example
_smtp._tcp.example SRV 10 1 26 b.example
_smtp._tcp.example SRV 20 9 25 c.example
_zero._tcp.example SRV 0 0 25 a.example
_zero._tcp.example SRV 0 100 25 b.example
_none._tcp.example SRV 0 0 25 a.example
_none._tcp.example SRV 0 0 25 b.example
mail.example MX 10 a.example
mail.example MX 10 b.example
mail.example MX 20 c.example
a.example A 192.0.2.1
b.example A 192.0.2.2
c.example A 192.0.2.3
`

func TestBalance(t *testing.T) {
	hosts := standard("192.0.2.1", "192.0.2.2", "192.0.2.3").Servers
	srv := []upstream.Server{{Kind: upstream.SRV, Host: "_smtp._tcp.example", Weight: 1}}
	mx := []upstream.Server{{Kind: upstream.MX, Host: "mail.example", Weight: 1}}
	a, b, c := "192.0.2.1:25", "192.0.2.2:25", "192.0.2.3:25"
	for _, test := range []struct {
		what    string
		servers []upstream.Server
		balance upstream.Balance
		out     []string // servers that refuse connections
		keep    bool     // sessions go on
		want    map[string]float64
	}{
		{what: "in order", servers: hosts, want: map[string]float64{a: 1}},
		{what: "in order, one out", servers: hosts, out: []string{a}, want: map[string]float64{b: 1}},
		{what: "by weight", servers: hosts, balance: upstream.ByWeight, want: map[string]float64{a: 1. / 6, b: 2. / 6, c: 3. / 6}},
		{what: "by weight, one out", servers: hosts, balance: upstream.ByWeight, out: []string{b}, want: map[string]float64{a: 1. / 4, c: 3. / 4}},
		{what: "least sessions, none lasts", servers: hosts, balance: upstream.LeastSessions, want: map[string]float64{a: 1}},
		{what: "least sessions", servers: hosts, balance: upstream.LeastSessions, keep: true, want: map[string]float64{a: 1. / 6, b: 2. / 6, c: 3. / 6}},
		{what: "SRV, in order", servers: srv, want: map[string]float64{"a.example:25": 3. / 4, "b.example:26": 1. / 4}},
		{what: "SRV, by weight", servers: srv, balance: upstream.ByWeight, want: map[string]float64{"a.example:25": 3. / 4, "b.example:26": 1. / 4}},
		{what: "SRV, least sessions", servers: srv, balance: upstream.LeastSessions, keep: true, want: map[string]float64{"a.example:25": 3. / 4, "b.example:26": 1. / 4}},
		{what: "SRV, first priority out", servers: srv, out: []string{a, "192.0.2.2:26"}, want: map[string]float64{"c.example:25": 1}},
		{what: "SRV, one without weight", servers: []upstream.Server{{Kind: upstream.SRV, Host: "_zero._tcp.example"}}, want: map[string]float64{"a.example:25": 0, "b.example:25": 1}},
		{what: "SRV, all without weight", servers: []upstream.Server{{Kind: upstream.SRV, Host: "_none._tcp.example"}}, want: map[string]float64{"a.example:25": .5, "b.example:25": .5}},
		{what: "MX", servers: mx, want: map[string]float64{"a.example:25": .5, "b.example:25": .5}},
		{what: "MX beside a host, by weight", servers: append([]upstream.Server{{Host: "192.0.2.9", Port: 25, Weight: 1}}, mx...), balance: upstream.ByWeight,
			want: map[string]float64{"192.0.2.9:25": .5, "a.example:25": .25, "b.example:25": .25}},
	} {
		t.Run(test.what, func(t *testing.T) {
			w := newTown(t)
			if err := w.dns.Add(balanceZone); err != nil {
				t.Fatal(err)
			}
			w.is(refuses, test.out...)
			o := standard()
			o.Servers, o.Balance, o.MaxConnections = test.servers, test.balance, 3000
			o.BackOff = upstream.BackOff{First: time.Hour, Max: time.Hour}
			n, give := 3000, 0.04
			if test.keep {
				n, give = 600, 0.005
			}
			w.wantShares(w.shares(w.group(o), n, test.keep), test.want, give)
		})
	}
}

// TestFull passes full servers over while others have room, and then waits for
// the first.
func TestFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		o := standard("192.0.2.1", "192.0.2.2")
		o.MaxConnections = 1
		g := w.group(o)
		first, second := w.enter(g), w.enter(g)
		if got := []string{first.Server(), second.Server()}; !slices.Equal(got, []string{"192.0.2.1:25", "192.0.2.2:25"}) {
			t.Fatalf("connected to %v", got)
		}
		start := time.Now()
		if _, err := g.Open(t.Context(), theClient(), &brief); !errors.Is(err, upstream.ErrBusy) || time.Since(start) != brief.Connect {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := g.Open(ctx, theClient(), &brief); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a session that ended while it waited: %v", err)
		}
		time.AfterFunc(5*time.Second, first.Quit)
		start = time.Now()
		third := w.enter(g)
		if third.Server() != first.Server() || time.Since(start) != 5*time.Second {
			t.Errorf("after %v at %s", time.Since(start), third.Server())
		}
		if n := w.fleet.Held(); n != 2 {
			t.Errorf("%d are held", n)
		}
		if n := w.tally.get("mailweir_upstream_connects_total", "mx", "192.0.2.1:25", "busy"); n != 1 {
			t.Errorf("counted %v as busy", n)
		}
		third.Quit()
		second.Close()
		if log := w.log.Take(); log != "" {
			t.Errorf("logged %s", log)
		}
	})
}
