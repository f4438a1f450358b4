package relay

import (
	"net/netip"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// maxPaced is how many client networks are remembered for how often they
// connect. The one is forgotten that has not connected for the longest time.
const maxPaced = 20_000

// rate is a bucket of new sessions for each client network. It holds as many as
// may begin in a second, and fills in that time.
type rate struct {
	perSecond int
	buckets   *simplelru.LRU[netip.Prefix, bucket]
}

type bucket struct {
	left float64
	at   time.Time
}

// SetRate bounds how many sessions of a client may begin in a second, from now
// on. 0 is no limit.
func (l *Limiter) SetRate(perSecond int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rate.perSecond = perSecond
	if l.rate.buckets == nil && perSecond > 0 {
		l.rate.buckets, _ = simplelru.NewLRU[netip.Prefix, bucket](maxPaced, nil) // it fails for sizes below 1
	}
}

// take reports whether a session of that network may begin.
func (r *rate) take(network netip.Prefix) bool {
	if r.perSecond <= 0 {
		return true
	}
	now, most := time.Now(), float64(r.perSecond)
	b, ok := r.buckets.Get(network)
	if !ok {
		b = bucket{left: most, at: now}
	}
	b.left = min(most, b.left+now.Sub(b.at).Seconds()*most)
	b.at = now
	enough := b.left >= 1
	if enough {
		b.left--
	}
	r.buckets.Add(network, b)
	return enough
}
