package dnsbl_test

import (
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/dnsbl"
	"github.com/mailweir/mailweir/filters/filtertest"
)

// keeper keeps all, and tells under which keys.
type keeper struct {
	mu     sync.Mutex
	values map[string]any
}

func (k *keeper) Keep(key string, make func() any) any {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, ok := k.values[key]; !ok {
		k.values[key] = make()
	}
	return k.values[key]
}

// gauges remembers the latest value of each label.
type gauges struct {
	filters.Metrics
	mu   sync.Mutex
	last map[string]float64
}

func (g *gauges) Counter(string, string, ...string) filters.Counter { return ignored{} }
func (g *gauges) Gauge(string, string, ...string) filters.Gauge     { return g }
func (g *gauges) Set(n float64, values ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.last[values[0]] = n
}

type ignored struct{}

func (ignored) Add(float64, ...string) {}

// TestHealthIsKept holds that a filter built anew goes on with what is known of
// its lists, as long as they are the same lists.
func TestHealthIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		zone := filtertest.NewZone(t, "*.bl.example A 127.0.0.2") // it lists the world
		env, log := filtertest.Env("")
		metrics := &gauges{last: map[string]float64{}}
		kept := &keeper{values: map[string]any{}}
		env.Resolver, env.Metrics, env.Keeper, env.Now = zone, metrics, kept, time.Now
		serve := func(options string) (end func()) {
			f := filtertest.New[filters.Worker](t, env, dnsbl.Kind, options)
			ctx, cancel := context.WithCancel(t.Context())
			var work sync.WaitGroup
			work.Go(func() { f.Work(ctx) })
			return func() { cancel(); work.Wait() }
		}
		const test = "2.0.0.127.bl.example"
		tested := func() int { return zone.Asked(test, filters.TypeA) }

		endFirst := serve(bl)
		synctest.Wait()
		if metrics.last["bl.example"] != 1 || !strings.Contains(log.Take(), "set aside") {
			t.Fatal("a list that lists the world is not set aside")
		}
		n := tested()
		time.Sleep(30 * time.Second)
		endSecond := serve(`{zones: [{zone: bl.example, weight: 5}], threshold: 2, reply: "{zone}"}`) // the same list, judged otherwise
		synctest.Wait()
		if metrics.last["bl.example"] != 1 || tested() != n || log.Take() != "" {
			t.Errorf("the list begins anew: %v, tested %d times more", metrics.last, tested()-n)
		}
		time.Sleep(31 * time.Second) // a minute after it was set aside
		if tested() != n+1 {
			t.Errorf("two chains have tested it %d times, want once", tested()-n)
		}
		endFirst()
		time.Sleep(118 * time.Second)
		if tested() != n+1 {
			t.Errorf("it was tested %d times too early when the former chain ended", tested()-n-1)
		}
		time.Sleep(3 * time.Second) // two minutes after the last test
		if tested() != n+2 {
			t.Errorf("nobody tests it when the former chain has ended: %d", tested()-n)
		}

		for name, options := range map[string]string{
			"self-test": `{zones: [{zone: bl.example, self_test: false}], threshold: 1}`,
			"answers":   `{zones: [{zone: bl.example, answers: [{match: 127.0.0.3}]}], threshold: 1}`,
			"share":     `{zones: [bl.example], threshold: 1, max_share: 0.5}`,
			"interval":  `{zones: [bl.example], threshold: 1, self_test_interval: 1h}`,
			"label":     `{zones: [{zone: bl.example, label: other}], threshold: 1}`,
			"key":       `{zones: [{zone: bl.example, key: secret}], threshold: 1}`,
		} {
			before := len(kept.values)
			filtertest.New[filters.Worker](t, env, dnsbl.Kind, options)
			if len(kept.values) == before {
				t.Errorf("%s: it is the same list", name)
			}
		}
		endSecond()
	})
}

// TestHealthIsDropped holds that a list that is gone is not set aside, and that
// no key is shown.
func TestHealthIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		env, log := filtertest.Env("")
		metrics := &gauges{last: map[string]float64{}}
		kept := &keeper{values: map[string]any{}}
		env.Resolver, env.Metrics, env.Keeper, env.Now = filtertest.NewZone(t, "example MX 10 mx.example"), metrics, kept, time.Now
		f := filtertest.New[filters.Worker](t, env, dnsbl.Kind, `{zones: [bl.example, {zone: keyed.example, key: verysecret}], threshold: 1}`)
		ctx, cancel := context.WithCancel(t.Context())
		var work sync.WaitGroup
		work.Go(func() { f.Work(ctx) })
		synctest.Wait()
		if metrics.last["bl.example"] != 1 || metrics.last["keyed.example"] != 1 {
			t.Errorf("not set aside: %v", metrics.last)
		}
		cancel()
		work.Wait()
		for _, value := range kept.values {
			if c, ok := value.(io.Closer); ok {
				if err := c.Close(); err != nil {
					t.Error(err)
				}
			}
		}
		if metrics.last["bl.example"] != 0 || metrics.last["keyed.example"] != 0 {
			t.Errorf("set aside, and gone: %v", metrics.last)
		}
		if text := log.Take(); strings.Contains(text, "verysecret") {
			t.Errorf("the key is in the log: %s", text)
		}
	})
}
