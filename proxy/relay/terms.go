package relay

import (
	"sync/atomic"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/upstream"
)

// terms are the settings under which sessions are served, with what follows
// from them. A session keeps those under which it began.
type terms struct {
	Options
	relay    *Relay
	announce filters.Announcement
	wants    filters.Stages
	hears    bool                       // filters listen before the greeting
	routes   map[string]*upstream.Group // by domain
	hold     bool                       // messages are held until the verdict
	tally    tally

	lastOffer atomic.Pointer[knownOffer]

	// Guarded by Relay.mu.
	users   int           // sessions
	retired bool          // no more will begin
	over    chan struct{} // closed when the last one has ended
}

func newTerms(r *Relay, o Options) *terms {
	wants, needs := o.Chain.Wants()
	if o.Room == nil {
		o.Room = NewRoom(0)
	}
	announce := o.Chain.Announce()
	announce.LimitRcpts(o.MaxRcpts)
	return &terms{
		Options:  o,
		relay:    r,
		announce: announce,
		wants:    wants,
		routes:   routesOf(o.Routes),
		hears:    needs&filters.HearClient != 0,
		hold:     holds(needs),
		tally:    newTally(&o),
		over:     make(chan struct{}),
	}
}

// Swap puts other settings in force for the sessions that begin from now on.
// Those under way end as they began; over is closed when all of them have, and
// nobody uses the former chain any more. The new chain must fit Offers.
func (r *Relay) Swap(o Options) (over <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.terms
	r.terms = newTerms(r, o)
	old.retired = true
	old.look()
	return old.over
}

// enter returns the terms for a session that begins.
func (r *Relay) enter() *terms {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.terms.users++
	return r.terms
}

// leave is called when it has ended.
func (r *Relay) leave(t *terms) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t.users--
	t.look()
}

// look sees whether all is over.
func (t *terms) look() {
	if t.retired && t.users == 0 {
		close(t.over)
	}
}
