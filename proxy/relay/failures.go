package relay

import (
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// Failures counts failed log-ins for each client network. It is safe for
// concurrent use. Nil counts nothing.
//
// A window begins with a network's first failure and does not move: a network
// that is over its limit is free again when that window has passed. So it has
// that many guesses in each window, of which the last of one window and the
// first of the next may follow each other. A log-in that succeeds changes
// nothing: if it took failures back, whoever has one account could try others
// without end.
//
// When there are too many networks, the one is forgotten that has not failed
// or been asked about for the longest time. A network that goes on trying keeps
// its place. To have one forgotten that pauses, an attacker must fail from as
// many other networks as there are entries, which spends more guesses than it
// gains.
type Failures struct {
	mu       sync.Mutex
	now      func() time.Time
	by       Networks
	networks *simplelru.LRU[netip.Prefix, failed]
}

// failed is what is known of a network.
type failed struct {
	since time.Time // its first failure
	times int       // in all from then on
}

// NewFailures returns a count of none, with room for that many networks, one at
// least. A network takes some 250 octets.
func NewFailures(entries int, now func() time.Time) *Failures {
	networks, _ := simplelru.NewLRU[netip.Prefix, failed](max(entries, 1), nil) // it fails for sizes below 1
	return &Failures{now: now, by: OwnAddress, networks: networks}
}

// Resize changes what clients are counted by from now on.
func (f *Failures) Resize(n Networks) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.by = n
}

// Add counts a failure of the client's network, and returns how many there are
// in its window. A client without an address, behind a Unix socket, is not
// counted: all of those would be one. It returns 0 then.
func (f *Failures) Add(client netip.Addr, window time.Duration) (n int) {
	if f == nil || !client.IsValid() {
		return 0
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	network := f.by.of(client)
	known, ok := f.networks.Get(network)
	if now := f.now(); !ok || now.Sub(known.since) >= window {
		known = failed{since: now}
	}
	known.times++
	f.networks.Add(network, known)
	return known.times
}

// Over reports whether the client's network has failed that often within its
// window, so that it may not try to log in. 0 is no limit. Sessions that have
// begun to log in at the same time are not counted before they fail: how far
// they get beyond the limit, the limit of sessions for each client says.
func (f *Failures) Over(client netip.Addr, limit int, window time.Duration) bool {
	if f == nil || limit <= 0 {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	network := f.by.of(client)
	known, ok := f.networks.Get(network)
	if ok && f.now().Sub(known.since) >= window {
		f.networks.Remove(network)
		return false
	}
	return ok && known.times >= limit
}
