package dnsbl_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/filtertest"
)

// TestHeldNoLonger holds a session's wait to the entry's timeout since the
// look-ups began, whatever the lists do, and each stage's to what the chain
// allows.
func TestHeldNoLonger(t *testing.T) {
	for name, c := range map[string]struct {
		options, ill string
		greeting     time.Duration // between connection and MAIL
		wait         time.Duration
	}{
		"silent":          {bl, "bl.example DROP", 0, 4750 * time.Millisecond},
		"slow":            {bl, "bl.example DELAY 1h", 0, 4750 * time.Millisecond},
		"late client":     {bl, "bl.example DROP", 3 * time.Second, 1750 * time.Millisecond},
		"very late":       {bl, "bl.example DROP", time.Minute, 0},
		"silent canary":   {bl, reverse4 + ".bl.example A 127.0.0.2\n1.0.0.127.bl.example DROP", 0, 4750 * time.Millisecond},
		"silent test":     {bl, reverse4 + ".bl.example A 127.0.0.2\n2.0.0.127.bl.example DROP", 0, 4750 * time.Millisecond},
		"one of three":    {`{zones: [bl.example, other.example, allow.example], threshold: 1}`, "other.example DROP", 0, 4750 * time.Millisecond},
		"answers in time": {bl, "bl.example DELAY 2s\n" + reverse4 + ".bl.example A 127.0.0.2", 0, 4 * time.Second}, // the test takes as long
		"sender":          {`{zones: [bl.example, {zone: rhs.example, check: [sender]}], threshold: 1}`, "rhs.example DROP", time.Minute, 4750 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, c.options, c.ill)
				s := filtertest.Session(client4)
				s.Begin(t.Context())
				defer s.End()
				begin := time.Now()
				b.Filter.(filters.ConnectFilter).Connect(t.Context(), s)
				if took := time.Since(begin); took != 0 {
					t.Errorf("connect took %v", took)
				}
				time.Sleep(c.greeting)
				begin = time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				v := b.transact(ctx, s, "a@spam.example")
				if took := time.Since(begin); took != c.wait || ctx.Err() != nil {
					t.Errorf("MAIL to DATA took %v, want %v", took, c.wait)
				}
				if v != (filters.Verdict{}) != (name == "answers in time") {
					t.Error(show(v))
				}
				if log := b.log.Take(); strings.Contains(log, "set aside") {
					t.Errorf("after one session: %s", log)
				}
				begin = time.Now()
				b.transact(t.Context(), s, "")
				if took := time.Since(begin); took != 0 {
					t.Errorf("the next transaction took %v", took)
				}
			})
		})
	}
}

// TestSilentText holds that a list's words are not waited for long, and that
// the listing counts without them.
func TestSilentText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		zone := filtertest.NewZone(t, inOrder+reverse4+".bl.example A 127.0.0.2")
		b := newBenchWith(t, `{zones: [bl.example], threshold: 1, reply: "{text}"}`, zone, func(e *filters.Env) { e.Resolver = mute{zone} })
		begin := time.Now()
		v := b.meet(client4, "", "")
		if took := time.Since(begin); took != time.Second || show(v) != listed("127.0.0.2") {
			t.Errorf("after %v %s", took, show(v))
		}
		if err := zone.Add(reverse4 + ".bl.example DELAY 4s"); err != nil {
			t.Fatal(err)
		}
		begin = time.Now()
		v = b.meet(client4, "", "")
		if took := time.Since(begin); took != 4375*time.Millisecond || show(v) != listed("127.0.0.2") {
			t.Errorf("of a slow list: after %v %s", took, show(v))
		}
	})
}

// mute never answers about TXT.
type mute struct{ *filtertest.Zone }

func (m mute) Fresh() filters.Resolver { return m }

func (m mute) Lookup(ctx context.Context, q filters.Question) (filters.Answer, error) {
	if q.Type == filters.TypeTXT {
		<-ctx.Done()
		return filters.Answer{}, &filters.DNSError{Question: q, Err: filters.ErrDNSTimeout}
	}
	return m.Zone.Lookup(ctx, q)
}

// TestEarlyEnd holds that nobody waits for lists that can change nothing.
func TestEarlyEnd(t *testing.T) {
	for name, c := range map[string]struct {
		options, records string
		wait             time.Duration
		refused          bool
	}{
		"enough":               {`{zones: [{zone: bl.example, weight: 2}, other.example], threshold: 2}`, reverse4 + ".bl.example A 127.0.0.2\nother.example DROP", 0, true},
		"not with allow lists": {`{zones: [{zone: bl.example, weight: 2}, {zone: allow.example, weight: -1}], threshold: 2}`, reverse4 + ".bl.example A 127.0.0.2\nallow.example DELAY 3s", 3 * time.Second, true},
		"allow list is weak":   {`{zones: [{zone: bl.example, weight: 3}, {zone: allow.example, weight: -1}], threshold: 2}`, reverse4 + ".bl.example A 127.0.0.2\nallow.example DROP", 0, true},
		"cannot reach":         {`{zones: [{zone: bl.example, weight: 2}, other.example], threshold: 2}`, "other.example DROP", 0, false},
		"could reach":          {`{zones: [{zone: bl.example, weight: 2}, {zone: other.example, weight: 2}], threshold: 2}`, "other.example DROP", 4750 * time.Millisecond, false},
		"answers differ":       {`{zones: [{zone: bl.example, answers: [{match: 127.0.0.2, weight: 1}, {match: 127.0.0.3, weight: -5}]}, {zone: other.example, weight: 1}], threshold: 2}`, reverse4 + ".bl.example A 127.0.0.2\nother.example DELAY 2s", 2 * time.Second, false},
		"slow refusal":         {`{zones: [{zone: bl.example, weight: 2}, other.example], threshold: 3}`, reverse4 + ".bl.example A 127.0.0.2\n" + reverse4 + ".other.example A 127.0.0.2\n" + reverse4 + ".other.example DELAY 1s", time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, c.options, c.records)
				begin := time.Now()
				got := b.ask(client4)
				if took := time.Since(begin); took != c.wait || strings.HasPrefix(got, "reject") != c.refused {
					t.Errorf("after %v %s; want %v", took, got, c.wait)
				}
			})
		})
	}
}

// TestShortTimeout holds the margin before the chain's own deadline.
func TestShortTimeout(t *testing.T) {
	for timeout, want := range map[time.Duration]time.Duration{
		time.Second: 900 * time.Millisecond, 100 * time.Millisecond: 90 * time.Millisecond, time.Minute: 59750 * time.Millisecond, 0: 4750 * time.Millisecond,
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBenchWith(t, bl, filtertest.NewZone(t, "bl.example DROP"), func(e *filters.Env) { e.Timeout = timeout })
			begin := time.Now()
			b.ask(client4)
			if took := time.Since(begin); took != want {
				t.Errorf("timeout %v: %v, want %v", timeout, took, want)
			}
		})
	}
}

// TestHeloChanges holds that the look-ups of a HELO name end with it.
func TestHeloChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		zone := &counting{Zone: filtertest.NewZone(t, inOrder+"a.example.rhs.example DROP\nb.example.rhs.example A 127.0.0.2")}
		b := newBenchWith(t, `{zones: [{zone: rhs.example, check: [helo]}], threshold: 1}`, zone.Zone, func(e *filters.Env) { e.Resolver = zone })
		s := filtertest.Session(client4)
		s.Begin(t.Context())
		defer s.End()
		b.Filter.(filters.ConnectFilter).Connect(t.Context(), s)
		for _, c := range []struct{ name, want string }{
			{"a.example", ""}, {"b.example", listed("b.example is listed by rhs.example: 127.0.0.2")}, {"[192.0.2.1]", "continue"}, {"c.example", "continue"},
		} {
			s.Helo = c.name
			b.Filter.(filters.HeloFilter).Helo(t.Context(), s)
			synctest.Wait()
			if n := zone.flying.Load(); (n > 0) != (c.name == "a.example") {
				t.Errorf("%s: %d look-ups under way", c.name, n)
			}
			begin := time.Now()
			if c.want == "" {
				continue
			}
			if got := show(b.transact(t.Context(), s, "")); got != c.want || time.Since(begin) != 0 {
				t.Errorf("%s: after %v %s", c.name, time.Since(begin), got)
			}
		}
	})
}

// counting counts the look-ups that are under way.
type counting struct {
	*filtertest.Zone
	flying atomic.Int32
}

func (c *counting) Lookup(ctx context.Context, q filters.Question) (filters.Answer, error) {
	c.flying.Add(1)
	defer c.flying.Add(-1)
	return c.Zone.Lookup(ctx, q)
}

// TestSessionEnds holds that nothing outlives the session, and that a client
// that leaves is no failure of the lists.
func TestSessionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, `{zones: [bl.example, {zone: rhs.example, check: [helo, sender]}], threshold: 1}`, "bl.example DROP\nrhs.example DROP")
		begin := time.Now()
		for range 20 {
			s := filtertest.Session(client4)
			ctx, cancel := context.WithCancel(t.Context())
			s.Begin(ctx)
			b.Filter.(filters.ConnectFilter).Connect(ctx, s)
			s.Helo = "a.example"
			b.Filter.(filters.HeloFilter).Helo(ctx, s)
			synctest.Wait()
			cancel()
			s.End()
		}
		if took := time.Since(begin); took != 0 {
			t.Errorf("sessions ended after %v", took)
		}
		if log := b.log.Take(); log != "" {
			t.Errorf("%s", log)
		}
	})
}

// TestManySessions plays many at once over lists of all sorts.
func TestManySessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, `{zones: [bl.example, {zone: other.example, weight: 2}, {zone: allow.example, weight: -3}, {zone: rhs.example, check: [helo, sender]}], threshold: 2}`, `
*.51.198.bl.example A 127.0.0.2
7.100.51.198.other.example A 127.0.0.2
9.100.51.198.other.example DELAY 2s
allow.example DELAY 100ms
bad.example.rhs.example A 127.0.0.2`)
		var wg sync.WaitGroup
		for i := range 200 {
			wg.Go(func() {
				begin := time.Now()
				b.meet(fmt.Sprintf("198.51.100.%d", i), "mail.example.com", "a@bad.example")
				if took := time.Since(begin); took > 5*time.Second {
					t.Errorf("%d: %v", i, took)
				}
			})
		}
		wg.Wait()
	})
}

// memory is a resolver that knows all that it was once asked.
type memory struct {
	*filtertest.Zone
	mu    sync.Mutex
	known map[filters.Question]said
}

type said struct {
	filters.Answer
	err error
}

func remember(z *filtertest.Zone) *memory {
	return &memory{Zone: z, known: map[filters.Question]said{}}
}

func (m *memory) Known(q filters.Question) (filters.Answer, error, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.known[q]
	s.Cached = true
	return s.Answer, s.err, ok
}

func (m *memory) Lookup(ctx context.Context, q filters.Question) (filters.Answer, error) {
	if a, err, ok := m.Known(q); ok {
		return a, err
	}
	a, err := m.Zone.Lookup(ctx, q)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known[q] = said{a, err}
	return a, err
}

// TestKnown holds that what the resolver knows is settled at once, and that
// what it remembers is no news of a list's health.
func TestKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		zone := filtertest.NewZone(t, inOrder+reverse4+".bl.example A 127.0.0.2\n2.2.0.192.bl.example A 127.255.255.255\n3.2.0.192.bl.example SERVFAIL\n"+reverse4+`.bl.example TXT "words"`)
		b := newBenchWith(t, `{zones: [bl.example, other.example], threshold: 1, at: connect, reply: "{text}"}`, zone, func(e *filters.Env) { e.Resolver = remember(zone) })
		for range 8 {
			for _, client := range []string{client4, "192.0.2.2", "192.0.2.3"} {
				b.ask(client)
			}
		}
		if err := zone.Add("bl.example DELAY 1s\nother.example DELAY 1s"); err != nil {
			t.Fatal(err)
		}
		for client, want := range map[string]string{client4: listed("words"), "192.0.2.2": "continue", "192.0.2.3": "continue"} {
			begin := time.Now()
			if got := b.ask(client); got != want || time.Since(begin) != 0 {
				t.Errorf("%s: after %v %s", client, time.Since(begin), got)
			}
		}
		if log := b.log.Take(); strings.Contains(log, "set aside") {
			t.Errorf("%s", log)
		}
		time.Sleep(time.Minute) // a listing needs a new look
		begin := time.Now()
		if got := b.ask(client4); got != listed("words") || time.Since(begin) != time.Second {
			t.Errorf("after %v %s", time.Since(begin), got)
		}
	})
}

// TestMemoryIsNoNews holds that what the resolver remembers says nothing about
// how a list does now, for better or worse.
func TestMemoryIsNoNews(t *testing.T) {
	for fault, limit := range map[string]int{"SERVFAIL": 5, "A 127.255.255.255": 3} {
		t.Run(fault, func(t *testing.T) {
			records := ""
			for i := range 20 {
				records += fmt.Sprintf("%d.2.0.192.bl.example %s\n", i, fault)
			}
			zone := filtertest.NewZone(t, inOrder+records)
			b := newBenchWith(t, bl, zone, func(e *filters.Env) { e.Resolver = remember(zone) })
			ill := func(i int) { b.ask(fmt.Sprintf("192.0.2.%d", i)) }
			good := func(i int) { b.ask(fmt.Sprintf("198.51.100.%d", i)) }
			for i := range limit { // not in a row
				ill(i)
				good(i)
			}
			for i := range limit { // in a row, but known
				ill(i)
			}
			if log := b.log.Take(); strings.Contains(log, "set aside") {
				t.Errorf("for what was known: %s", log)
			}
			for i := range limit {
				good(0) // known: it does not interrupt the row
				ill(10 + i)
			}
			if log := b.log.Take(); !strings.Contains(log, "set aside") {
				t.Errorf("not set aside: %s", log)
			}
		})
	}
}

// BenchmarkKnownClient is a session of a client of whom all lists are known.
func BenchmarkKnownClient(b *testing.B) {
	zone := filtertest.NewZone(b, inOrder)
	var zones []string
	for i := range 8 {
		zones = append(zones, fmt.Sprintf("bl%d.example", i))
	}
	k := newBenchWith(b, "{zones: ["+strings.Join(zones, ", ")+"]}", zone, func(e *filters.Env) { e.Resolver = remember(zone) })
	k.ask(client4)
	b.ReportAllocs()
	for b.Loop() {
		k.meet(client4, "mail.example.com", "a@example.com")
	}
}
