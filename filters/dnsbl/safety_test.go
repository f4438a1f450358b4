package dnsbl_test

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/dnsbl"
	"github.com/mailweir/mailweir/filters/filtertest"
)

const bl = `{zones: [bl.example], threshold: 1}`

// TestErrorsAreNoListings holds that no error code ever counts, and that each
// raises an alarm with the list and the cause.
func TestErrorsAreNoListings(t *testing.T) {
	for _, c := range []struct{ zone, answer, cause string }{
		{"bl.example", "127.255.255.252", "misspelt"},
		{"bl.example", "127.255.255.254", "public resolver"},
		{"bl.example", "127.255.255.255", "too many questions"},
		{"bl.example", "127.255.255.1", "the error code 127.255.255.1"},
		{"bl.example", "127.0.0.1", "refuse to answer"},
		{"bl.example", "192.0.2.99", "outside of 127.0.0.0/8"},
		{"bl.example", "0.0.0.0", "outside of 127.0.0.0/8"},
		{"zen.spamhaus.org", "127.255.255.254", "public resolver"},
		{"list.dnswl.org", "127.0.0.255", "refuses our questions"},
		{"list.dnswl.org", "127.0.10.255", "refuses our questions"},
		{"multi.surbl.org", "127.0.0.1", "refuses our questions"},
		{"multi.surbl.org", "127.0.0.9", "refuses our questions"},
		{"multi.uribl.com", "127.0.0.1", "refuses our questions"},
		{"dbl.spamhaus.org", "127.0.1.255", "asked about an address"},
	} {
		t.Run(c.zone+" "+c.answer, func(t *testing.T) {
			at := func(name string) string { return name + "." + c.zone + " A " }
			weight := 9
			if c.zone == "list.dnswl.org" {
				weight = -9
			}
			records := at("2.0.0.127") + "127.0.0.2\n" + at("test") + "127.0.0.2\n" + at("test.surbl.org") + "127.0.0.8\n" + at("test.uribl.com") + "127.0.0.2\n" +
				at("dbltest.com") + "127.0.1.2\n" + at(reverse4) + c.answer + "\n" + at("spam.example") + c.answer + "\n" +
				reverse4 + ".other.example A 127.0.0.2"
			options := fmt.Sprintf("{zones: [{zone: %s, weight: %d}, other.example], threshold: %d}", c.zone, weight, max(weight, 1))
			b := newBench(t, options, records)
			want := "continue"
			if weight < 0 {
				want = listed("192.0.2.1 is listed by other.example: 127.0.0.2")
			}
			if got := show(b.meet(client4, "spam.example", "a@spam.example")); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			log := b.log.Take()
			if !strings.Contains(log, "level=WARN") || !strings.Contains(log, "zone="+c.zone) || !strings.Contains(log, c.cause) {
				t.Errorf("%s", log)
			}
		})
	}
}

// TestSpeltOne holds that 127.0.0.1 is an answer where the administrator says
// what it means, and no pattern hits it by accident.
func TestSpeltOne(t *testing.T) {
	for pattern, want := range map[string]string{
		"127.0.0.1": listed("192.0.2.1 is listed by bl.example: 127.0.0.1"), "127.0.0.*": "continue", "127.0.0.[1..2]": "continue", "127.0.0.0/8": "",
	} {
		if want == "" {
			continue
		}
		b := newBench(t, `{zones: [{zone: bl.example, answers: [{match: "`+pattern+`"}]}], threshold: 1}`, reverse4+".bl.example A 127.0.0.1")
		if got := b.ask(client4); got != want {
			t.Errorf("%s: %s", pattern, got)
		}
	}
}

func TestAlarmsAreRare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, bl, "*.2.0.192.bl.example A 127.255.255.254\n*.0.192.bl.example A 192.0.2.7\n*.192.bl.example A 127.0.0.4")
		for range 2 {
			b.ask(client4)
		}
		b.ask("192.1.1.1") // a good answer: not three in a row
		b.ask("192.0.3.1") // another cause
		b.ask("192.1.1.1")
		if log := b.log.Take(); strings.Count(log, "level=WARN") != 2 {
			t.Errorf("%s", log)
		}
		time.Sleep(59 * time.Minute)
		b.ask(client4)
		if log := b.log.Take(); log != "" {
			t.Errorf("%s", log)
		}
		time.Sleep(time.Minute)
		b.ask(client4)
		if log := b.log.Take(); strings.Count(log, "level=WARN") != 1 {
			t.Errorf("%s", log)
		}
	})
}

// TestSelfTest holds that a list counts only after it has passed its test.
func TestSelfTest(t *testing.T) {
	for name, c := range map[string]struct{ options, records, cause string }{
		"dead":              {bl, "", "it does not list 127.0.0.2"},
		"lists the world":   {bl, "*.bl.example A 127.0.0.2", "it lists 127.0.0.1"},
		"answers errors":    {bl, "*.bl.example A 127.255.255.254", "public resolver"},
		"squatted":          {bl, "*.bl.example A 192.0.2.80", "outside of 127.0.0.0/8"},
		"IPv4 part is dead": {`{zones: [{zone: bl.example, ipv6: true}], threshold: 1}`, entry6 + ".bl.example A 127.0.0.2", "it does not list 127.0.0.2"},
		"fails":             {bl, "2.0.0.127.bl.example SERVFAIL", "no answer about 127.0.0.2: the name servers failed"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBenchWith(t, c.options, filtertest.NewZone(t, c.records+"\n"+reverse4+".bl.example A 127.0.0.2"), nil)
			for range 3 {
				if got := b.ask(client4); got != "continue" {
					t.Error(got)
				}
			}
			log := b.log.Take()
			if !strings.Contains(log, c.cause) || strings.Count(log, "a DNSBL is set aside") != 1 {
				t.Errorf("%s", log)
			}
			if n := b.zone.Asked(reverse4+".bl.example", filters.TypeA); n != 1 {
				t.Errorf("asked %d times, want once: it is set aside then", n)
			}
		})
	}
}

// TestPartsAreApart holds that a list whose IPv6 part is dead goes on with
// IPv4, and so with domains.
func TestPartsAreApart(t *testing.T) {
	b := newBenchWith(t, `{zones: [{zone: bl.example, ipv6: true, check: [client, sender]}], threshold: 1}`,
		filtertest.NewZone(t, "2.0.0.127.bl.example A 127.0.0.2\n"+reverse4+".bl.example A 127.0.0.2\n"+reverse6+".bl.example A 127.0.0.2\nspam.example.bl.example A 127.0.0.2"), nil)
	if got := show(b.meet(client6, "", "a@spam.example")); got != "continue" {
		t.Error(got)
	}
	if got := show(b.meet(client4, "", "a@spam.example")); !strings.HasPrefix(got, "reject") {
		t.Error(got)
	}
}

func TestSelfTestOff(t *testing.T) {
	b := newBenchWith(t, `{zones: [{zone: bl.example, self_test: false}], threshold: 1}`,
		filtertest.NewZone(t, "*.bl.example A 127.0.0.2"), nil)
	if got := b.ask(client4); !strings.HasPrefix(got, "reject") {
		t.Error(got)
	}
	if n := b.zone.Asked("1.0.0.127.bl.example", filters.TypeA) + b.zone.Asked("2.0.0.127.bl.example", filters.TypeA); n != 0 {
		t.Errorf("%d tests", n)
	}
}

// TestCanary holds that a list that begins to list the world refuses nobody
// from then on.
func TestCanary(t *testing.T) {
	for name, c := range map[string]struct{ options, client, helo, good, world, canary string }{
		"IPv4":  {bl, client4, "", reverse4 + ".bl.example A 127.0.0.2", "*.bl.example A 127.0.0.2", "1.0.0.127.bl.example"},
		"IPv6":  {`{zones: [{zone: bl.example, ipv6: true}], threshold: 1}`, client6, "", reverse6 + ".bl.example A 127.0.0.2", "*.bl.example A 127.0.0.2", "1" + entry6[1:] + ".bl.example"},
		"names": {`{zones: [{zone: rhs.example, check: [helo]}], threshold: 1}`, client4, "spam.example", "spam.example.rhs.example A 127.0.0.2", "*.rhs.example A 127.0.0.2", "invalid.rhs.example"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, c.options, c.good)
				meet := func() string { return show(b.meet(c.client, c.helo, "")) }
				for range 3 {
					if got := meet(); !strings.HasPrefix(got, "reject") {
						t.Fatalf("%s\n%s", got, b.log.Take())
					}
				}
				if n := b.zone.Asked(c.canary, filters.TypeA); n != 1 {
					t.Errorf("%d looks at what no list has, want one a minute", n)
				}
				if err := b.zone.Add(c.world); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				if got := meet(); got != "continue" {
					t.Error(got)
				}
				if log := b.log.Take(); !strings.Contains(log, "it may list the world") {
					t.Errorf("%s", log)
				}
			})
		})
	}
}

// TestStranger holds that a list that lists the world is found out although a
// resolver on the way remembers better of it.
func TestStranger(t *testing.T) {
	for name, c := range map[string]struct{ options, client, helo, world string }{
		"IPv4":  {bl, client4, "", "*.bl.example A 127.0.0.2\n1.0.0.127.bl.example TXT kept"},
		"IPv6":  {`{zones: [{zone: bl.example, ipv6: true}], threshold: 1}`, client6, "", "*.bl.example A 127.0.0.2\n1" + entry6[1:] + ".bl.example TXT kept"},
		"names": {`{zones: [{zone: rhs.example, check: [helo]}], threshold: 1}`, client4, "spam.example", "*.rhs.example A 127.0.0.2\ninvalid.rhs.example TXT kept"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, c.options, c.world)
			if got := show(b.meet(c.client, c.helo, "")); got != "continue" {
				t.Error(got)
			}
			if log := b.log.Take(); !strings.Contains(log, "it may list the world") {
				t.Errorf("%s", log)
			}
		})
	}
}

// TestCanaryIsShared holds sessions that come at once to one look.
func TestCanaryIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, bl, "*.2.0.192.bl.example A 127.0.0.2\n1.0.0.127.bl.example DELAY 1s")
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				if got := b.ask(fmt.Sprintf("192.0.2.%d", i)); !strings.HasPrefix(got, "reject") {
					t.Error(got)
				}
			})
		}
		wg.Wait()
		if n := b.zone.Asked("1.0.0.127.bl.example", filters.TypeA); n != 1 {
			t.Errorf("%d looks", n)
		}
	})
}

// TestCanaryFails holds that a listing does not count while nobody can tell
// whether the list is in order.
func TestCanaryFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, bl, reverse4+".bl.example A 127.0.0.2")
		b.ask(client4)
		time.Sleep(time.Minute)
		if err := b.zone.Add("1.0.0.127.bl.example SERVFAIL"); err != nil {
			t.Fatal(err)
		}
		if got := b.ask(client4); got != "continue" {
			t.Error(got)
		}
	})
}

// TestSetAsideAndBack follows lists through their illness.
func TestSetAsideAndBack(t *testing.T) {
	for name, c := range map[string]struct {
		ill, cause string
		sessions   int // until it is set aside
	}{
		"fails":    {"bl.example SERVFAIL", "5 look-ups in a row failed: the name servers failed", 5},
		"silent":   {"bl.example DROP", "5 look-ups in a row failed: the name servers are silent", 5},
		"errors":   {"*.bl.example A 127.255.255.255", "3 errors in a row", 3},
		"squatted": {"*.bl.example A 198.51.100.80", "3 errors in a row", 3},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, bl, "")
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				go b.Filter.(filters.Worker).Work(ctx)
				synctest.Wait() // the first test has been passed

				b.zone.Clear()
				if err := b.zone.Add(c.ill); err != nil {
					t.Fatal(err)
				}
				for i := range c.sessions + 3 {
					if got := b.ask(fmt.Sprintf("198.51.100.%d", i)); got != "continue" {
						t.Error(got)
					}
				}
				log := b.log.Take()
				if strings.Count(log, "a DNSBL is set aside") != 1 || !strings.Contains(log, c.cause) {
					t.Errorf("%s", log)
				}
				for i := range c.sessions + 3 {
					n := b.zone.Asked(fmt.Sprintf("%d.100.51.198.bl.example", i), filters.TypeA)
					if want := min(max(c.sessions-i, 0), 1); n != want {
						t.Errorf("session %d: %d questions, want %d", i, n, want)
					}
				}

				time.Sleep(10 * time.Minute) // it fails its tests meanwhile, in silence
				if log := b.log.Take(); strings.Contains(log, "level=WARN") || strings.Contains(log, "is back") {
					t.Errorf("%s", log)
				}
				b.zone.Clear()
				if err := b.zone.Add(inOrder + reverse4 + ".bl.example A 127.0.0.2"); err != nil {
					t.Fatal(err)
				}
				time.Sleep(30 * time.Minute)
				if log := b.log.Take(); strings.Count(log, "a DNSBL is back") != 1 {
					t.Errorf("%s", log)
				}
				if got := b.ask(client4); !strings.HasPrefix(got, "reject") {
					t.Error(got)
				}

				time.Sleep(31 * time.Minute) // long enough in order: the next time it is away for a minute
				b.zone.Clear()
				if err := b.zone.Add(c.ill); err != nil {
					t.Fatal(err)
				}
				for i := range c.sessions {
					b.ask(fmt.Sprintf("198.51.100.%d", i))
				}
				b.zone.Clear()
				if err := b.zone.Add(inOrder); err != nil {
					t.Fatal(err)
				}
				time.Sleep(61 * time.Second)
				if log := b.log.Take(); strings.Count(log, "is set aside") != 1 || strings.Count(log, "is back") != 1 {
					t.Errorf("%s", log)
				}
			})
		})
	}
}

// TestOneSubject holds that what goes wrong about one subject at once, or with
// our question, takes no list away.
func TestOneSubject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, `{zones: [{zone: bl.example, check: [client, helo]}, {preset: dbl, check: [helo]}], threshold: 1}`, `
1.2.0.192.bl.example SERVFAIL
bad.example.bl.example A 127.255.255.255
dbltest.com.dbl.spamhaus.org A 127.0.1.2
*.dbl.spamhaus.org A 127.0.1.255`)
		for i := range 20 {
			b.meet(client4, "bad.example", "")
			b.meet(client4, fmt.Sprintf("a%d.example.com", i), "")
		}
		if log := b.log.Take(); strings.Contains(log, "set aside") {
			t.Errorf("%s", log)
		}
		for range 20 {
			time.Sleep(5 * time.Second)
			b.meet(client4, "", "")
		}
		if log := b.log.Take(); !strings.Contains(log, "set aside") {
			t.Error("a list that fails for long is not set aside")
		}
	})
}

// TestRetests holds the times between tests of a list that stays dead.
func TestRetests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBenchWith(t, bl, filtertest.NewZone(t, ""), nil)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go b.Filter.(filters.Worker).Work(ctx)
		synctest.Wait()
		var pauses []int // in minutes
		last, pause := b.zone.Asked("2.0.0.127.bl.example", filters.TypeA), 0
		for range 130 {
			time.Sleep(time.Minute)
			synctest.Wait()
			pause++
			if n := b.zone.Asked("2.0.0.127.bl.example", filters.TypeA); n != last {
				pauses, last, pause = append(pauses, pause), n, 0
			}
		}
		if want := []int{1, 2, 4, 8, 16, 30, 30, 30}; !slices.Equal(pauses, want) {
			t.Errorf("%v, want %v", pauses, want)
		}
	})
}

func TestSelfTestInterval(t *testing.T) {
	for interval, want := range map[string]int{"30m": 3, "0s": 1, "1h": 2} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, `{zones: [bl.example], self_test_interval: `+interval+`}`, "")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go b.Filter.(filters.Worker).Work(ctx)
			time.Sleep(61 * time.Minute)
			synctest.Wait()
			if n := b.zone.Asked("2.0.0.127.bl.example", filters.TypeA); n != want {
				t.Errorf("%s: %d tests within an hour, want %d", interval, n, want)
			}
		})
	}
}

// world is a list that has every client of the tests.
const world = `
2.0.0.127.bl.example A 127.0.0.2
*.198.bl.example A 127.0.0.2`

// TestShare holds that a list with too great a share of the clients is set
// aside, and watched before it counts again.
func TestShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBenchWith(t, bl, filtertest.NewZone(t, world), nil)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go b.Filter.(filters.Worker).Work(ctx)
		synctest.Wait()
		refused := func(from, to int) (n int) {
			for i := from; i < to; i++ {
				if b.ask(netip.AddrFrom4([4]byte{198, 51, byte(i / 250), byte(i%250 + 1)}).String()) != "continue" {
					n++
				}
			}
			return n
		}
		for range 150 { // one client counts once
			b.ask("198.51.0.1")
		}
		if n := refused(0, 300); n != 99 {
			t.Errorf("%d clients were refused, want 99", n)
		}
		if log := b.log.Take(); !strings.Contains(log, "it has 100% of the last 100 clients") {
			t.Errorf("%s", log)
		}
		time.Sleep(time.Minute + time.Second) // it passes its test, and is on probation
		if n := refused(300, 500); n != 0 {
			t.Errorf("%d clients were refused by a list on probation", n)
		}
		if log := b.log.Take(); strings.Contains(log, "is back") || !strings.Contains(log, "is set aside") {
			t.Errorf("%s", log)
		}
		b.zone.Clear()
		if err := b.zone.Add(inOrder + reverse4 + ".bl.example A 127.0.0.2"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		if n := refused(500, 600); n != 0 {
			t.Errorf("%d clients were refused", n)
		}
		if log := b.log.Take(); strings.Count(log, "is back") != 1 {
			t.Errorf("%s", log)
		}
		if got := b.ask(client4); !strings.HasPrefix(got, "reject") {
			t.Error(got)
		}
	})
}

func TestShareOff(t *testing.T) {
	b := newBenchWith(t, `{zones: [bl.example], threshold: 1, max_share: 0}`, filtertest.NewZone(t, world), nil)
	for i := range 200 {
		if got := b.ask(fmt.Sprintf("198.51.100.%d", i)); !strings.HasPrefix(got, "reject") {
			t.Fatal(got)
		}
	}
}

// TestMetrics holds the names, and that the gauge follows.
func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &meters{values: map[string]float64{}}
		zone := filtertest.NewZone(t, inOrder+"*.2.0.192.bl.example A 127.0.0.2\n*.2.0.192.other.example A 127.255.255.254")
		b := newBenchWith(t, `{zones: [bl.example, other.example, allow.example], threshold: 9}`, zone, func(e *filters.Env) { e.Metrics = m })
		all := func(client string) { // sessions that wait for all lists
			s := filtertest.Session(client)
			s.Begin(t.Context())
			defer s.End()
			b.Filter.(filters.ConnectFilter).Connect(t.Context(), s)
			if _, err := dnsbl.Score.Get(t.Context(), s); err != nil {
				t.Error(err)
			}
		}
		for i := range 4 {
			all(fmt.Sprintf("192.0.2.%d", i))
		}
		if err := zone.Add("allow.example SERVFAIL\nbl.example DROP"); err != nil {
			t.Fatal(err)
		}
		all(client4)
		want := map[string]float64{
			"mailweir_dnsbl_answers_total{bl.example,listed}":     4,
			"mailweir_dnsbl_answers_total{bl.example,timeout}":    1,
			"mailweir_dnsbl_answers_total{other.example,error}":   3,
			"mailweir_dnsbl_answers_total{other.example,skipped}": 2,
			"mailweir_dnsbl_answers_total{allow.example,clean}":   4,
			"mailweir_dnsbl_answers_total{allow.example,failed}":  1,
			"mailweir_dnsbl_zone_set_aside{bl.example}":           0,
			"mailweir_dnsbl_zone_set_aside{other.example}":        1,
			"mailweir_dnsbl_zone_set_aside{allow.example}":        0,
		}
		if !maps.Equal(m.values, want) {
			t.Errorf("%v\nwant %v", m.values, want)
		}
	})
}

// meters keeps what is counted, by name and labels.
type meters struct {
	mu     sync.Mutex
	values map[string]float64
}

type meter struct {
	*meters
	name string
}

func (m *meters) Counter(name, _ string, _ ...string) filters.Counter { return meter{m, name} }
func (m *meters) Gauge(name, _ string, _ ...string) filters.Gauge     { return meter{m, name} }
func (m *meters) Histogram(string, string, []float64, ...string) filters.Histogram {
	panic("not asked for")
}

func (m meter) Add(n float64, values ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.values[m.name+"{"+strings.Join(values, ",")+"}"] += n
}

func (m meter) Set(n float64, values ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.values[m.name+"{"+strings.Join(values, ",")+"}"] = n
}

// TestPanic holds that a resolver's panic ends one look-up.
func TestPanic(t *testing.T) {
	b := newBenchWith(t, `{zones: [{zone: bl.example, self_test: false}], threshold: 1}`, filtertest.NewZone(t, ""), func(e *filters.Env) { e.Resolver = panicking{} })
	if got := b.ask(client4); got != "continue" {
		t.Error(got)
	}
	if log := b.log.Take(); !strings.Contains(log, "panic: boo") {
		t.Errorf("%s", log)
	}
}

type panicking struct{}

func (panicking) Lookup(context.Context, filters.Question) (filters.Answer, error) { panic("boo") }
func (panicking) Known(filters.Question) (a filters.Answer, err error, ok bool)    { return a, nil, false }
func (panicking) Fresh() filters.Resolver                                          { return panicking{} }

// busy is a resolver that has no room for questions about others than the test
// entries.
type busy struct{ filters.Resolver }

func (b busy) Lookup(ctx context.Context, q filters.Question) (filters.Answer, error) {
	if strings.Contains(q.Name, ".100.51.198.") {
		return filters.Answer{}, &filters.DNSError{Question: q, Err: filters.ErrDNSBusy}
	}
	return b.Resolver.Lookup(ctx, q)
}

// TestBusyResolver holds that a list is not to blame for what it was not asked.
func TestBusyResolver(t *testing.T) {
	env, log := filtertest.Env("")
	env.Resolver = busy{filtertest.NewZone(t, inOrder)}
	f := filtertest.New[filters.ConnectFilter](t, env, dnsbl.Kind, bl)
	for i := range 20 {
		s := filtertest.Session(fmt.Sprint("198.51.100.", i))
		s.Begin(t.Context())
		f.Connect(t.Context(), s)
		tx := &filters.Transaction{Session: s, From: filtertest.Path("a@client.example")}
		if v := f.(filters.RcptFilter).Rcpt(t.Context(), tx, filtertest.Path("b@example.com")); v != (filters.Verdict{}) {
			t.Fatalf("session %d: %s", i, filtertest.Show(v))
		}
		s.End()
	}
	if got := log.Take(); strings.Contains(got, "set aside") {
		t.Error(got)
	}
}
