package resolver_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/internal/resolver"
)

const (
	one = "192.0.2.1:53"
	two = "192.0.2.2:53"
)

// within runs a test in a bubble with two servers at the addresses one and two.
func within(t *testing.T, first, second manners, o resolver.Options, test func(t *testing.T, r *resolver.Resolver, w *wires)) {
	synctest.Test(t, func(t *testing.T) {
		w := &wires{t: t, servers: map[string]manners{one: first, two: second}}
		o.Servers = []netip.AddrPort{netip.MustParseAddrPort(one), netip.MustParseAddrPort(two)}
		r, err := resolver.Open(o.DialBy(w.dial))
		if err != nil {
			t.Fatal(err)
		}
		test(t, r, w)
		r.Close()
		synctest.Wait()
	})
}

var question1 = filters.Question{Name: "a.example", Type: filters.TypeA}

// late makes a server reply after that time.
func late(d time.Duration, reply manners) manners {
	return func(q question) [][]byte {
		time.Sleep(d)
		return reply(q)
	}
}

func TestSilence(t *testing.T) {
	var m tally
	within(t, mute, mute, resolver.Options{Metrics: &m}, func(t *testing.T, r *resolver.Resolver, w *wires) {
		start := time.Now()
		_, err := r.Lookup(t.Context(), question1)
		if !errors.Is(err, filters.ErrDNSTimeout) || errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), one) {
			t.Errorf("error %v", err)
		}
		if took := time.Since(start); took != 8*time.Second {
			t.Errorf("took %v", took)
		}
		if got, want := w.took(), one+" udp, "+two+" udp, "+one+" udp, "+two+" udp"; got != want {
			t.Errorf("asked %s, want %s", got, want)
		}
		if m.get("mailweir_dns_exchanges_total", "udp", "timeout") != 4 || m.get("mailweir_dns_questions_total", "A", "timeout") != 1 {
			t.Errorf("counted %v", m.values)
		}
	})
}

// TestTimeout ends a question before all servers have had all their time.
func TestTimeout(t *testing.T) {
	within(t, mute, mute, resolver.Options{Timeout: 3 * time.Second}, func(t *testing.T, r *resolver.Resolver, w *wires) {
		start := time.Now()
		_, err := r.Lookup(t.Context(), question1)
		if took := time.Since(start); !errors.Is(err, filters.ErrDNSTimeout) || took != 3*time.Second {
			t.Errorf("error %v after %v", err, took)
		}
	})
}

// TestSilentFirst goes on to the server that replies, and begins with it for
// the next half a minute.
func TestSilentFirst(t *testing.T) {
	within(t, mute, addresses, resolver.Options{}, func(t *testing.T, r *resolver.Resolver, w *wires) {
		for _, step := range []struct {
			wait, takes time.Duration
			asked       string
		}{
			{0, 2 * time.Second, one + " udp, " + two + " udp"},
			{29 * time.Second, 0, two + " udp"},
			{time.Second, 2 * time.Second, one + " udp, " + two + " udp"},
		} {
			time.Sleep(step.wait)
			start := time.Now()
			if _, err := r.Fresh().Lookup(t.Context(), question1); err != nil {
				t.Fatal(err)
			}
			if took, asked := time.Since(start), w.took(); took != step.takes || asked != step.asked {
				t.Errorf("took %v and asked %s, want %v and %s", took, asked, step.takes, step.asked)
			}
		}
		w.set(one, addresses)
		time.Sleep(troubleOver)
		for range 2 {
			if _, err := r.Fresh().Lookup(t.Context(), question1); err != nil {
				t.Fatal(err)
			}
		}
		if asked, want := w.took(), one+" udp, "+one+" udp"; asked != want {
			t.Errorf("the first has come back, asked %s, want %s", asked, want)
		}
	})
}

const troubleOver = 30 * time.Second

// TestFailureIsNoSilence: one that failed is not asked again, one that stayed
// silent is, and the failure is told.
func TestFailureIsNoSilence(t *testing.T) {
	servfail := func(q question) [][]byte { return send(q, nothing(q, dns.RcodeServerFailure, "")) }
	within(t, servfail, mute, resolver.Options{}, func(t *testing.T, r *resolver.Resolver, w *wires) {
		_, err := r.Lookup(t.Context(), question1)
		if !errors.Is(err, filters.ErrServFail) || !strings.Contains(err.Error(), "SERVFAIL") || !strings.Contains(err.Error(), "no reply") {
			t.Errorf("error %v", err)
		}
		if got, want := w.took(), one+" udp, "+two+" udp, "+two+" udp"; got != want {
			t.Errorf("asked %s, want %s", got, want)
		}
	})
}

// TestSlowFirst gets the answer in the second round, as from a resolver that
// had to look for it.
func TestSlowFirst(t *testing.T) {
	var asked atomic.Int32
	slow := func(q question) [][]byte {
		if asked.Add(1) == 1 {
			return nil
		}
		return addresses(q)
	}
	within(t, slow, mute, resolver.Options{}, func(t *testing.T, r *resolver.Resolver, w *wires) {
		start := time.Now()
		if _, err := r.Lookup(t.Context(), question1); err != nil || time.Since(start) != 4*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// TestForgedSilence is told apart from mere silence in the log.
func TestForgedSilence(t *testing.T) {
	forge := func(q question) [][]byte {
		m := answer(q)
		m.Id++
		return send(q, m, m, m)
	}
	within(t, forge, forge, resolver.Options{}, func(t *testing.T, r *resolver.Resolver, w *wires) {
		_, err := r.Lookup(t.Context(), question1)
		if !errors.Is(err, filters.ErrDNSTimeout) || !strings.Contains(err.Error(), "3 packets") {
			t.Errorf("error %v", err)
		}
	})
}

// TestSlowTCP gives TCP its time, and not more.
func TestSlowTCP(t *testing.T) {
	within(t, truncated(mute), addresses, resolver.Options{}, func(t *testing.T, r *resolver.Resolver, w *wires) {
		start := time.Now()
		if _, err := r.Lookup(t.Context(), question1); err != nil || time.Since(start) != 2*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// TestContext leaves with the context, while the question goes on and fills the
// cache.
func TestContext(t *testing.T) {
	var m tally
	within(t, late(time.Second, addresses), nil, resolver.Options{Metrics: &m}, func(t *testing.T, r *resolver.Resolver, w *wires) {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		start := time.Now()
		_, err := r.Lookup(ctx, question1)
		if !errors.Is(err, filters.ErrDNSTimeout) || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 100*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(100*time.Millisecond, cancel)
		var why *filters.DNSError
		if _, err := r.Lookup(ctx, question1); !errors.As(err, &why) || !errors.Is(err, context.Canceled) || errors.Is(err, filters.ErrDNSTimeout) {
			t.Errorf("canceled: %v", err)
		}
		if _, err := r.Lookup(ctx, filters.Question{Name: "b.example", Type: filters.TypeA}); !errors.Is(err, context.Canceled) {
			t.Errorf("canceled before: %v", err)
		}
		time.Sleep(time.Second)
		if a, err, ok := r.Known(question1); !ok || err != nil || len(a.Addrs) != 1 {
			t.Errorf("known afterwards: %v, %v, %v", a, err, ok)
		}
		if _, err := r.Lookup(ctx, question1); err != nil {
			t.Errorf("what is known needs no time: %v", err)
		}
		if got, want := w.took(), one+" udp"; got != want {
			t.Errorf("asked %s, want %s", got, want)
		}
		if m.get("mailweir_dns_questions_total", "A", "canceled") != 2 || m.get("mailweir_dns_questions_total", "A", "timeout") != 1 {
			t.Errorf("counted %v", m.values)
		}
	})
}

// TestShared asks once for many who wait.
func TestShared(t *testing.T) {
	var m tally
	within(t, late(time.Second, addresses), nil, resolver.Options{Metrics: &m}, func(t *testing.T, r *resolver.Resolver, w *wires) {
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() {
				name := "a.example"
				if i%2 == 0 {
					name = "A.Example."
				}
				var asks filters.Resolver = r
				if i%3 == 0 {
					asks = r.Fresh()
				}
				a, err := asks.Lookup(t.Context(), filters.Question{Name: name, Type: filters.TypeA})
				if err != nil || a.Cached || len(a.Addrs) != 1 {
					t.Errorf("%v, %v", a, err)
				}
			})
		}
		all.Wait()
		if got, want := w.took(), one+" udp"; got != want {
			t.Errorf("asked %s, want %s", got, want)
		}
		if m.get("mailweir_dns_cache_total", "miss") != 1 || m.get("mailweir_dns_cache_total", "shared") != 49 ||
			m.get("mailweir_dns_seconds") != 1 || m.get("mailweir_dns_questions_total", "A", "answer") != 50 {
			t.Errorf("counted %v", m.values)
		}
	})
}

func TestTooMany(t *testing.T) {
	var m tally
	within(t, late(time.Second, addresses), nil, resolver.Options{MaxInFlight: 3, Metrics: &m}, func(t *testing.T, r *resolver.Resolver, w *wires) {
		var all sync.WaitGroup
		for i := range 3 {
			all.Go(func() {
				if _, err := r.Lookup(t.Context(), filters.Question{Name: fmt.Sprintf("%d.example", i), Type: filters.TypeA}); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if n := m.get("mailweir_dns_in_flight"); n != 3 {
			t.Errorf("in flight: %v", n)
		}
		start := time.Now()
		_, err := r.Lookup(t.Context(), filters.Question{Name: "more.example", Type: filters.TypeA})
		if !errors.Is(err, filters.ErrDNSBusy) || !strings.Contains(err.Error(), "the limit is 3") || time.Since(start) != 0 {
			t.Errorf("one too many: %v after %v", err, time.Since(start))
		}
		all.Go(func() {
			if _, err := r.Lookup(t.Context(), filters.Question{Name: "1.example", Type: filters.TypeA}); err != nil {
				t.Errorf("one that can wait for another: %v", err)
			}
		})
		all.Wait()
		if _, err := r.Lookup(t.Context(), filters.Question{Name: "more.example", Type: filters.TypeA}); err != nil {
			t.Errorf("later: %v", err)
		}
		if m.get("mailweir_dns_questions_total", "A", "refused_busy") != 1 || m.get("mailweir_dns_in_flight") != 0 {
			t.Errorf("counted %v", m.values)
		}
	})
}

func TestClose(t *testing.T) {
	slow := func(q question) [][]byte {
		if strings.HasPrefix(q.name(), "known") {
			return addresses(q)
		}
		return nil
	}
	within(t, slow, slow, resolver.Options{}, func(t *testing.T, r *resolver.Resolver, w *wires) {
		known := filters.Question{Name: "known.example", Type: filters.TypeA}
		if _, err := r.Lookup(t.Context(), known); err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				_, err := r.Lookup(t.Context(), filters.Question{Name: fmt.Sprintf("%d.example", i), Type: filters.TypeA})
				if !errors.Is(err, context.Canceled) {
					t.Errorf("in flight: %v", err)
				}
			})
		}
		synctest.Wait()
		start := time.Now()
		r.Close()
		all.Wait()
		if took := time.Since(start); took != 0 {
			t.Errorf("took %v", took)
		}
		if _, err := r.Lookup(t.Context(), question1); !errors.Is(err, context.Canceled) {
			t.Errorf("later: %v", err)
		}
		if _, err := r.Lookup(t.Context(), known); err != nil {
			t.Errorf("what is known: %v", err)
		}
		r.Close()
	})
}

// TestPanic fails the question, not the process.
func TestPanic(t *testing.T) {
	var j journal
	o := resolver.Options{Servers: []netip.AddrPort{netip.MustParseAddrPort(one)}, Log: j.log()}
	r := open(t, o.DialBy(func(context.Context, string, string) (net.Conn, error) { panic("boom") }))
	if _, err := r.Lookup(t.Context(), question1); !errors.Is(err, filters.ErrServFail) {
		t.Error(err)
	}
	if !strings.Contains(j.String(), "boom") {
		t.Errorf("log: %s", j.String())
	}
}
