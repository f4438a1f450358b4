package resolver_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/internal/resolver"
)

// TestTTL believes each record, but neither the shortest nor the longest life.
func TestTTL(t *testing.T) {
	for _, test := range []struct {
		what    string
		records []string
		want    time.Duration
	}{
		{"as it says", []string{"a.example. 300 A 192.0.2.1"}, 5 * time.Minute},
		{"the shortest of all", []string{"a.example. 300 A 192.0.2.1", "a.example. 240 A 192.0.2.2"}, 4 * time.Minute},
		{"an alias that dies first", []string{"a.example. 120 CNAME b.example.", "b.example. 300 A 192.0.2.1"}, 2 * time.Minute},
		{"at least", []string{"a.example. 0 A 192.0.2.1"}, time.Minute},
		{"at most", []string{"a.example. 86400 A 192.0.2.1"}, time.Hour},
		{"RFC 2181 section 8", []string{"a.example. 2147483648 A 192.0.2.1"}, time.Minute},
	} {
		t.Run(test.what, func(t *testing.T) {
			c := newClock()
			p := serveUDP(t, says(test.records...))
			o := to(p)
			o.Now = c.Now
			r := open(t, o)
			a, err := ask(t, r, filters.TypeA, "a.example")
			if err != nil || a.TTL != test.want || a.Cached {
				t.Fatalf("%+v, %v, want TTL %v", a, err, test.want)
			}
			c.pass(test.want - 10*time.Second)
			a, err = ask(t, r, filters.TypeA, "A.Example.")
			if err != nil || a.TTL != 10*time.Second || !a.Cached || a.Addrs[0].String() != "192.0.2.1" {
				t.Errorf("from the cache: %+v, %v", a, err)
			}
			c.pass(10 * time.Second)
			a, err = ask(t, r, filters.TypeA, "a.example")
			if err != nil || a.Cached || len(p.asked()) != 2 {
				t.Errorf("when its time is up: %+v, %v, asked %d times", a, err, len(p.asked()))
			}
		})
	}
}

// TestByType files the types of one name apart.
func TestByType(t *testing.T) {
	p := serveUDP(t, says("a.example. 300 A 192.0.2.1", `a.example. 300 TXT "text"`))
	r := open(t, to(p))
	for range 2 {
		if a, err := ask(t, r, filters.TypeA, "a.example"); err != nil || len(a.Addrs) != 1 {
			t.Errorf("%v, %v", a, err)
		}
		if a, err := ask(t, r, filters.TypeTXT, "a.example"); err != nil || len(a.Texts) != 1 {
			t.Errorf("%v, %v", a, err)
		}
	}
	if n := len(p.asked()); n != 2 {
		t.Errorf("asked %d times, want 2", n)
	}
}

// TestFresh asks although the answer is known, and lets the others know what
// it has learnt; but not that it has learnt nothing.
func TestFresh(t *testing.T) {
	var round atomic.Int32
	p := serveUDP(t, func(q question) [][]byte {
		switch round.Load() {
		case 0:
			return send(q, answer(q, "a.example. 300 A 192.0.2.1"))
		case 1:
			return send(q, answer(q, "a.example. 300 A 192.0.2.2"))
		}
		return send(q, nothing(q, dns.RcodeServerFailure, ""))
	})
	r := open(t, to(p))
	q := filters.Question{Name: "a.example", Type: filters.TypeA}
	if _, err := r.Lookup(t.Context(), q); err != nil {
		t.Fatal(err)
	}
	fresh := r.Fresh().Fresh()
	if _, _, ok := fresh.Known(q); ok {
		t.Error("a fresh resolver knows something")
	}
	round.Store(1)
	if a, err := fresh.Lookup(t.Context(), q); err != nil || a.Cached || a.Addrs[0].String() != "192.0.2.2" {
		t.Errorf("fresh: %v, %v", a, err)
	}
	if a, err := r.Lookup(t.Context(), q); err != nil || !a.Cached || a.Addrs[0].String() != "192.0.2.2" {
		t.Errorf("from the cache: %v, %v", a, err)
	}
	round.Store(2)
	if _, err := fresh.Lookup(t.Context(), q); !errors.Is(err, filters.ErrServFail) {
		t.Errorf("fresh: %v", err)
	}
	if a, err := r.Lookup(t.Context(), q); err != nil || a.Addrs[0].String() != "192.0.2.2" {
		t.Errorf("after a failure, from the cache: %v, %v", a, err)
	}
	other := filters.Question{Name: "b.example", Type: filters.TypeA}
	if _, err := fresh.Lookup(t.Context(), other); !errors.Is(err, filters.ErrServFail) {
		t.Errorf("fresh: %v", err)
	}
	if _, err, ok := r.Known(other); ok {
		t.Errorf("the failure of a fresh look is remembered: %v", err)
	}
}

// TestFailureRemembered spares servers that fail (RFC 9520 section 3.2).
func TestFailureRemembered(t *testing.T) {
	var m tally
	c := newClock()
	p := serveUDP(t, func(q question) [][]byte { return send(q, nothing(q, dns.RcodeServerFailure, "")) })
	o := to(p)
	o.Now, o.Metrics = c.Now, &m
	r := open(t, o)
	for i, want := range []int{1, 1, 2} {
		_, err := ask(t, r, filters.TypeMX, "a.example")
		if n := len(p.asked()); !errors.Is(err, filters.ErrServFail) || n != want {
			t.Errorf("%d: %v, asked %d times, want %d", i, err, n, want)
		}
		c.pass(4 * time.Second)
	}
	if m.get("mailweir_dns_questions_total", "MX", "servfail") != 3 || m.get("mailweir_dns_cache_total", "hit") != 1 ||
		m.get("mailweir_dns_cache_total", "miss") != 2 || m.get("mailweir_dns_exchanges_total", "udp", "failure") != 2 {
		t.Errorf("counted %v", m.values)
	}
}

// TestBounded asks for three times as many names as the cache may hold, with
// small and with large answers.
func TestBounded(t *testing.T) {
	const entries = 500
	text := strings.Repeat("x", 250)
	for _, test := range []struct {
		what     string
		typ      filters.RecordType
		records  []string
		min, max float64 // entries
	}{
		{"small", filters.TypeA, []string{"300 A 192.0.2.1"}, entries, entries},
		{"large", filters.TypeTXT, []string{`300 TXT "` + strings.Repeat(text+`" "`, 14) + `"`}, entries / 6, entries / 3},
		{"many", filters.TypeSRV, manyRecords(50, "300 SRV 1 1 25 %060d.example."), entries / 7, entries / 4},
	} {
		t.Run(test.what, func(t *testing.T) {
			var m tally
			p := serve(t, func(q question) [][]byte {
				var records []string
				for _, r := range test.records {
					records = append(records, q.name()+" "+r)
				}
				reply := answer(q, records...)
				if !q.tcp && test.typ != filters.TypeA {
					reply.Answer, reply.Truncated = nil, true
				}
				return send(q, reply)
			})
			o := to(p)
			o.CacheEntries, o.Metrics = entries, &m
			r := open(t, o)
			p.forget()
			before := heap()
			var all sync.WaitGroup
			for part := range 4 {
				all.Go(func() {
					for i := range 3 * entries / 4 {
						name := fmt.Sprintf("%d-%d.%s.example", part, i, strings.Repeat("n", 60))
						if _, err := ask(t, r, test.typ, name); err != nil {
							t.Errorf("%s: %v", name, err)
							return
						}
						if i%100 == 0 {
							p.forget()
						}
					}
				})
			}
			all.Wait()
			if n := m.get("mailweir_dns_cache_entries"); n < test.min || n > test.max {
				t.Errorf("%v entries, want %v to %v", n, test.min, test.max)
			}
			p.forget()
			grown := int64(heap()) - int64(before)
			if limit := int64(entries*resolver.EntryMemory) + 512<<10; grown > limit {
				t.Errorf("%d octets more are in use, want at most %d", grown, limit)
			}
			t.Logf("%d octets for %v entries", grown, m.get("mailweir_dns_cache_entries"))
			runtime.KeepAlive(r)
		})
	}
}

// forget drops what the peer has heard.
func (p *peer) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heard = nil
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestLatestUsedStay drops those that nobody asks for.
func TestLatestUsedStay(t *testing.T) {
	p := serveUDP(t, addresses)
	o := to(p)
	o.CacheEntries = 10
	r := open(t, o)
	popular := filters.Question{Name: "popular.example", Type: filters.TypeA}
	for i := range 30 {
		if _, err := r.Lookup(t.Context(), popular); err != nil {
			t.Fatal(err)
		}
		if _, err := ask(t, r, filters.TypeA, fmt.Sprintf("%d.example", i)); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(p.asked()); n != 31 {
		t.Errorf("asked %d times, want 31", n)
	}
}

// TestStoredAgain counts an answer once that is stored many times.
func TestStoredAgain(t *testing.T) {
	p := serveUDP(t, addresses)
	o := to(p)
	o.CacheEntries = 10
	r := open(t, o)
	if _, err := ask(t, r, filters.TypeA, "a.example"); err != nil {
		t.Fatal(err)
	}
	for range 50 {
		if _, err := ask(t, r.Fresh(), filters.TypeA, "b.example"); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, ok := r.Known(filters.Question{Name: "a.example", Type: filters.TypeA}); !ok {
		t.Error("another answer has been dropped")
	}
}

func TestKnownDoesNotAllocate(t *testing.T) {
	p := serveUDP(t, says("a.example. 300 A 192.0.2.1"))
	r := open(t, to(p))
	for _, typ := range []filters.RecordType{filters.TypeA, filters.TypeTXT} {
		q := filters.Question{Name: "a.example.", Type: typ}
		r.Lookup(t.Context(), q)
		if n := testing.AllocsPerRun(100, func() {
			if _, _, ok := r.Known(q); !ok {
				t.Error("not known")
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", typ, n)
		}
	}
}

func BenchmarkKnown(b *testing.B) {
	p := serveUDP(b, addresses)
	r := open(b, to(p))
	q := filters.Question{Name: "2.0.0.127.zen.example", Type: filters.TypeA}
	if _, err := r.Lookup(b.Context(), q); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, ok := r.Known(q); !ok {
			b.Fatal("not known")
		}
	}
}

func BenchmarkLookupCached(b *testing.B) {
	p := serveUDP(b, addresses)
	r := open(b, to(p))
	q := filters.Question{Name: "2.0.0.127.zen.example", Type: filters.TypeA}
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Lookup(ctx, q); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLookupAsked(b *testing.B) {
	p := serveUDP(b, addresses)
	o := to(p)
	o.RandomCase = true
	r := open(b, o).Fresh()
	q := filters.Question{Name: "2.0.0.127.zen.example", Type: filters.TypeA}
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Lookup(ctx, q); err != nil {
			b.Fatal(err)
		}
		p.forget()
	}
}
