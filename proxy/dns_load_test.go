package proxy_test

import (
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// A census is a name server that counts its questions, by name and type. It
// knows the test entries of lists, and nothing else.
type census struct {
	mu    sync.Mutex
	asked map[string]int
}

func (c *census) answer(_ context.Context, _ string, question *dns.Msg) *dns.Msg {
	q := question.Question[0]
	name := strings.ToLower(q.Name)
	c.mu.Lock()
	c.asked[name+dns.TypeToString[q.Qtype]]++
	c.mu.Unlock()
	if q.Qtype == dns.TypeA && strings.HasPrefix(name, "2.0.0.127.") {
		return peer.Reply(question, dns.RcodeSuccess, &dns.A{
			Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60},
			A:   []byte{127, 0, 0, 2},
		})
	}
	return peer.Reply(question, dns.RcodeNameError)
}

func (c *census) times(name string, typ filters.RecordType) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked[name+"."+typ.String()]
}

// total is how many questions there were.
func (c *census) total() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, times := range c.asked {
		n += times
	}
	return n
}

const loadZones = 8

func zoneName(i int) string { return fmt.Sprintf("bl%d.test.example", i) }

// patientDNS is the configuration of a resolver that waits for its server even if
// the machine is very busy, and remembers for longer than a test takes.
func patientDNS(server string, cacheEntries int) string {
	return fmt.Sprintf("dns: {servers: [%q], attempt_timeout: 50s, timeout: 50s, min_ttl: 1h, cache_entries: %d}\n", server, cacheEntries)
}

// eightZones is a chain of all that asks the DNS about a client, with the lists
// of a census.
func eightZones() string {
	zones := make([]string, loadZones)
	for i := range zones {
		zones[i] = fmt.Sprintf("{zone: %s, weight: 1}", zoneName(i))
	}
	return "chain:\n" +
		"  - dnsbl: {zones: [" + strings.Join(zones, ", ") + "], threshold: 4, exempt: []}\n    action: enforce\n    timeout: 60s\n" +
		"  - rdns: {exempt: []}\n    timeout: 60s\n"
}

// crowd is n clients, from addresses of their own.
func crowd(n int) []netip.Addr {
	list := make([]netip.Addr, n)
	for i := range list {
		list[i] = netip.AddrFrom4([4]byte{127, 100, byte(i >> 8), byte(i)})
	}
	return list
}

// visits lets clients come, some at a time, until there have been that many
// sessions, and fails the test at the first that is not accepted.
func visits(t *testing.T, addr string, clients []netip.Addr, sessions int) {
	t.Helper()
	var next atomic.Int64
	var failed atomic.Bool
	var coming sync.WaitGroup
	for range 16 {
		coming.Go(func() {
			for !failed.Load() {
				n := int(next.Add(1)) - 1
				if n >= sessions {
					return
				}
				from := clients[n%len(clients)].String()
				seen, err := visitor{from: from, helo: "client.test.example", sender: "a@client.test.example"}.call(addr)
				if (err != nil || !seen.accepted()) && !failed.Swap(true) {
					t.Errorf("session %d, from %s: %q, %v", n, from, seen.reply, err)
				}
			}
		})
	}
	coming.Wait()
}

// heap returns the octets that live on.
func heap() int64 {
	runtime.GC()
	runtime.GC() // what finalizers and pools held
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// grown returns how much more the heap holds than before, once it is at most
// that, or else after a while: sessions end after their clients have gone.
func grown(before, most int64) int64 {
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		if more := heap() - before; more <= most || time.Now().After(end) {
			return more
		}
	}
}

// However often a client comes, each list is asked about it once while the
// answer is valid, and what is remembered of it is bounded.
func TestLookupsUnderLoad(t *testing.T) {
	sessions, clients := 5000, crowd(500)
	if testing.Short() {
		sessions, clients = 500, crowd(50)
	}
	c := &census{asked: map[string]int{}}
	names := peer.Names(t, c.answer)
	g := openGate(t, discard(t), "log: {level: warn}\n"+patientDNS(names.Addr, 50000)+eightZones())
	visits(t, g.addr, clients, len(clients)) // all are known now
	before := heap()
	visits(t, g.addr, clients, sessions-len(clients))
	if grown := grown(before, 4<<20); grown > 4<<20 {
		t.Errorf("%d sessions of known clients have left %d KiB behind", sessions-len(clients), grown>>10)
	}
	for _, client := range clients {
		for i := range loadZones {
			name := filters.ReverseLabels(client) + "." + zoneName(i)
			if n := c.times(name, filters.TypeA); n != 1 {
				t.Fatalf("%s was asked %d times", name, n)
			}
		}
		if n := c.times(filters.ReverseName(client), filters.TypePTR); n != 1 {
			t.Fatalf("the name of %s was asked %d times", client, n)
		}
	}
	if complaints := g.log.String(); complaints != "" {
		t.Error("there is something to complain of")
	}
}

// A cache that is full forgets, and does not grow.
func TestCacheIsBounded(t *testing.T) {
	c := &census{asked: map[string]int{}}
	names := peer.Names(t, c.answer)
	const entries = 1000
	g := openGate(t, discard(t), "log: {level: warn}\n"+patientDNS(names.Addr, entries)+eightZones())
	clients := crowd(600)
	visits(t, g.addr, clients[:300], 300) // it is full now
	before := heap()
	visits(t, g.addr, clients[300:], 300)
	if grown := grown(before, 1<<20); grown > 1<<20 {
		t.Errorf("%d answers more than fit have left %d KiB behind", (loadZones+1)*300, grown>>10)
	}
	visits(t, g.addr, clients[:5], 5)
	forgotten := 0
	for _, client := range clients[:5] {
		for i := range loadZones {
			if c.times(filters.ReverseLabels(client)+"."+zoneName(i), filters.TypeA) > 1 {
				forgotten++
			}
		}
	}
	if forgotten != 5*loadZones {
		t.Errorf("%d of the %d answers about the first clients are forgotten, with a cache of %d and %d answers since",
			forgotten, 5*loadZones, entries, (loadZones+1)*len(clients))
	}
}
