package store_test

import (
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/filtertest"
	"github.com/mailweir/mailweir/filters/internal/metrics"
	"github.com/mailweir/mailweir/filters/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// host is what a store under test has around it.
type host struct {
	*store.Store
	log     filtertest.Log
	metrics *metrics.Registry
}

func newHost(entries int) *host {
	h := new(host)
	log := slog.New(slog.NewTextHandler(&h.log, nil))
	h.metrics = metrics.New(log, "test")
	h.Store = store.New(store.Options{Entries: entries, Env: filters.Env{Log: log, Now: time.Now, Metrics: h.metrics}})
	return h
}

// open returns a store with a file behind it, which the test has to close.
func open(t *testing.T, entries int, file string) *host {
	t.Helper()
	h := newHost(entries)
	if err := h.Open(file); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *host) mustClose(t *testing.T) {
	t.Helper()
	if err := h.Close(); err != nil {
		t.Error(err)
	}
}

// count returns the value of a series.
func (h *host) count(t *testing.T, series string) string {
	t.Helper()
	w := httptest.NewRecorder()
	h.metrics.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for line := range strings.Lines(w.Body.String()) {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	t.Errorf("no series %s", series)
	return ""
}

func want(t *testing.T, s filters.Store, key, value string) {
	t.Helper()
	if got, ok := s.Get(key); !ok || string(got) != value {
		t.Errorf("%s = %q, %v; want %q", key, got, ok, value)
	}
}

func wantNone(t *testing.T, s filters.Store, key string) {
	t.Helper()
	if got, ok := s.Get(key); ok {
		t.Errorf("%s = %q, want nothing", key, got)
	}
}

func TestMemory(t *testing.T) {
	h := newHost(10)
	wantNone(t, h, "k")
	value := []byte("one")
	h.Put("k", value, time.Minute)
	copy(value, "xxx")
	want(t, h, "k", "one")
	h.Put("k", []byte("two"), time.Minute)
	want(t, h, "k", "two")
	h.Put("empty", nil, time.Minute)
	want(t, h, "empty", "")
	h.mustClose(t)
	want(t, h, "k", "two")
}

func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(10)
		h.Put("short", []byte("a"), time.Second)
		h.Put("long", []byte("b"), time.Hour)
		h.Put("over", []byte("c"), 0)
		wantNone(t, h, "over")
		time.Sleep(999 * time.Millisecond)
		want(t, h, "short", "a")
		time.Sleep(time.Millisecond)
		wantNone(t, h, "short")
		want(t, h, "long", "b")
		h.Put("short", []byte("d"), time.Second)
		want(t, h, "short", "d")
		h.Put("long", []byte("gone"), 0)
		wantNone(t, h, "long")
	})
}

func TestBounds(t *testing.T) {
	h := newHost(3)
	for i := range 5 {
		h.Put(fmt.Sprint(i), []byte("v"), time.Hour)
		h.Get("0")
	}
	want(t, h, "0", "v") // was used
	wantNone(t, h, "1")
	wantNone(t, h, "2")
	want(t, h, "4", "v")
	if n := h.count(t, `mailweir_state_entries{place="memory"}`); n != "3" {
		t.Error(n, "entries")
	}
	h.Put("", []byte("v"), time.Hour)
	h.Put(strings.Repeat("k", store.MaxKey+1), []byte("v"), time.Hour)
	h.Put("value", make([]byte, store.MaxValue+1), time.Hour)
	wantNone(t, h, "value")
	if n := h.count(t, `mailweir_state_lost_total{reason="too_large"}`); n != "3" {
		t.Error(n, "too large")
	}
	h.Put(strings.Repeat("k", store.MaxKey), make([]byte, store.MaxValue), time.Hour)
	want(t, h, strings.Repeat("k", store.MaxKey), string(make([]byte, store.MaxValue)))
}

// Large values make room for themselves: memory is bounded in octets too.
func TestLargeValues(t *testing.T) {
	h := newHost(1000)
	for i := range 1000 {
		h.Put(fmt.Sprint(i), make([]byte, 50_000), time.Hour)
	}
	if n := h.count(t, `mailweir_state_entries{place="memory"}`); n != "20" {
		t.Errorf("%s entries of 50 kB stay in memory, want 20 in 1000 KiB", n)
	}
	for range 100 { // the same one takes room once
		h.Put("x", make([]byte, 50_000), time.Hour)
	}
	want(t, h, "999", string(make([]byte, 50_000)))
}

func TestGetDoesNotAllocate(t *testing.T) {
	h := newHost(10)
	h.Put("k", []byte("v"), time.Hour)
	if n := testing.AllocsPerRun(100, func() { h.Get("k"); h.Get("absent") }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestRace(t *testing.T) {
	h := open(t, 50, t.TempDir()+"/state")
	var wait sync.WaitGroup
	for g := range 8 {
		wait.Go(func() {
			for i := range 500 {
				key := fmt.Sprint((g * i) % 100)
				if v, ok := h.Get(key); ok && string(v) != "value "+key {
					t.Errorf("%s = %q", key, v)
				}
				h.Put(key, []byte("value "+key), time.Hour)
			}
		})
	}
	wait.Wait()
	h.mustClose(t)
}

func BenchmarkMiss(b *testing.B) {
	h := newHost(1000)
	if err := h.Open(b.TempDir() + "/state"); err != nil {
		b.Fatal(err)
	}
	for i := range 20_000 {
		h.Put(fmt.Sprint(i), []byte("some value"), time.Hour)
	}
	h.Close()
	if err := h.Open(b.TempDir() + "/state"); err != nil {
		b.Fatal(err)
	}
	defer h.Close()
	for b.Loop() {
		h.Get("absent")
	}
}
