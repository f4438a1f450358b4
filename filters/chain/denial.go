package chain

import (
	"context"
	"net/netip"
	"time"

	"github.com/mailweir/mailweir/filters"
)

// Denial is a refusal at Connect that follows from the client's address alone, so
// that it takes no session. It is what a Run would come to.
type Denial struct {
	chain   *Chain
	by      int // whose verdict it is, of the plan
	verdict filters.Verdict
	took    [maxByAddress]time.Duration
}

// maxByAddress is how many filters are asked about an address before there is a
// session. A chain has one of them, seldom two.
const maxByAddress = 8

// byAddress returns the steps that are asked before there is a session: those in
// front of the first that wants more than an address, or takes more than a call.
func byAddress(connect []step[filters.ConnectFilter]) []step[filters.AddressFilter] {
	var first []step[filters.AddressFilter]
	for _, s := range connect {
		f, ok := s.filter.(filters.AddressFilter)
		if !ok || s.guard || len(first) == maxByAddress {
			break
		}
		first = append(first, step[filters.AddressFilter]{f, s.entry, s.guard, s.stage, s.took})
	}
	return first
}

// Denies reports whether a client is to be refused as soon as it connects,
// whatever else there is to know of it. What is not as clear as that is left to
// the session: whatever an observed filter finds, and refusals that wait for
// Options.DelayReject. Nothing is logged or counted before Settle.
func (c *Chain) Denies(client netip.Addr) (d Denial, denied bool) {
	steps := c.plan.address
	if len(steps) == 0 {
		return d, false
	}
	defer func() {
		if recover() != nil {
			denied = false // the session comes to the same, and settles it
		}
	}()
	last := c.now()
	for i := range steps {
		v := steps[i].filter.Address(client)
		now := c.now()
		d.took[i] = now.Sub(last)
		last = now
		if v != (filters.Verdict{}) {
			d.chain, d.by, d.verdict = c, i, v
			return d, c.deniesBy(steps[i].entry, v)
		}
	}
	return d, false
}

// deniesBy reports whether the entry's verdict on a client is told at once.
func (c *Chain) deniesBy(e *entry, v filters.Verdict) bool {
	if e.Action == Ignore || v.Finding != nil && v.Finding.Observed {
		return false
	}
	switch v.Action {
	case filters.Hangup:
		return true
	case filters.Reject, filters.TempFail:
		return e.Action == Drop || c.options.DelayReject <= filters.Connect
	}
	return false
}

// Settle logs and counts the denial, and returns what to tell the client. Of s
// it takes what the log shows.
func (d *Denial) Settle(ctx context.Context, s *filters.Session) Decision {
	steps := d.chain.plan.address
	for i := range steps[:d.by+1] {
		if took := steps[i].took; took != nil {
			took(d.took[i].Seconds())
		}
	}
	r := Run{chain: d.chain, ctx: ctx, session: s}
	r.tx.Session = s
	decision, _ := r.settle(steps[d.by].entry, filters.Connect, d.verdict)
	return decision
}
