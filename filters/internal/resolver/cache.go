package resolver

import (
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/mailweir/mailweir/filters"
)

// entryMemory is how many octets an entry of the cache may take on average. A
// usual one takes some 500: 24 for its key and 112 for its place in the list,
// 50 to 100 in the map, 144 for itself, the name, and 24 for each address or
// 16 to 24 more than its letters for each name or text. The worst is some 6
// KiB, see maxText: when many of those come, fewer entries are kept.
const entryMemory = 1024

// entryBase is what an entry takes besides its name and its contents.
const entryBase = 24 + 112 + 100 + 144

// errorBase is what a *DNSError takes besides its texts.
const errorBase = 64

// cache remembers entries, the latest used of them when there are too many.
type cache struct {
	mu     sync.Mutex
	lru    *simplelru.LRU[key, *entry]
	octets int // of all entries
	limit  int // of octets
}

// entry is what is known about a question. It does not change once made.
type entry struct {
	answer filters.Answer // its TTL and Cached are not used
	err    *filters.DNSError
	until  time.Time
}

func newCache(entries int) *cache {
	c := &cache{limit: entries * entryMemory}
	// The error is about a size that is not positive.
	c.lru, _ = simplelru.NewLRU(entries, func(k key, e *entry) { c.octets -= e.size(k) })
	return c
}

// get returns what is known and still valid, or nil.
func (c *cache) get(k key, now time.Time) *entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.lru.Get(k)
	if !ok {
		return nil
	}
	if !now.Before(e.until) {
		c.lru.Remove(k)
		return nil
	}
	return e
}

// put stores e, and returns how many entries there are now.
func (c *cache) put(k key, e *entry) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lru.Remove(k)
	c.octets += e.size(k)
	c.lru.Add(k, e)
	for c.octets > c.limit && c.lru.Len() > 1 {
		c.lru.RemoveOldest()
	}
	return c.lru.Len()
}

// tell returns what the entry says at that time.
func (e *entry) tell(now time.Time, cached bool) (filters.Answer, error) {
	if e.err != nil {
		return filters.Answer{}, e.err
	}
	a := e.answer
	a.TTL, a.Cached = e.until.Sub(now), cached
	return a, nil
}

// size estimates the octets that e takes under k.
func (e *entry) size(k key) int {
	n := entryBase + len(k.name)
	n += 24 * cap(e.answer.Addrs)
	n += 16*cap(e.answer.Names) + 24*cap(e.answer.MXs) + 16*cap(e.answer.Texts) + 24*cap(e.answer.SRVs)
	for _, s := range e.answer.Names {
		n += len(s)
	}
	for _, mx := range e.answer.MXs {
		n += len(mx.Host)
	}
	for _, srv := range e.answer.SRVs {
		n += len(srv.Host)
	}
	for _, s := range e.answer.Texts {
		n += len(s)
	}
	if e.err != nil {
		n += errorBase + len(e.err.Detail)
	}
	return n
}
