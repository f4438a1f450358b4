package milter

import (
	"sync"

	lib "github.com/d--j/go-milter"

	"github.com/mailweir/mailweir/filters"
)

// terms are the settings under which MTAs are served, with what follows from
// them. An SMTP session keeps those under which it began.
type terms struct {
	Options
	wants    filters.Stages
	actions  lib.OptAction   // to ask for
	protocol lib.OptProtocol // to ask for
	first    sync.Once       // of the negotiations
	tally    *tally

	// Guarded by Milter.mu.
	users   int           // connections
	retired bool          // no more will begin
	over    chan struct{} // closed when the last one has ended
}

func newTerms(o Options) *terms {
	stages, needs := o.Chain.Wants()
	return &terms{
		Options:  o,
		wants:    stages,
		actions:  actionsFor(needs),
		protocol: protocolFor(stages),
		tally:    newTally(&o),
		over:     make(chan struct{}),
	}
}

// Swap puts other settings in force for the SMTP sessions that begin from now
// on. Those under way end as they began; over is closed when all of them have,
// and nobody uses the former chain any more. The new chain must fit Offers.
//
// An MTA may have several SMTP sessions on one connection, one after the other.
// What it tells and lets us do is agreed on at the beginning of the connection:
// if the new chain needs something else, the connection stays with the former
// settings to its end. Its own limits and time-outs always do.
func (m *Milter) Swap(o Options) (over <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.terms
	m.terms = newTerms(o)
	old.retired = true
	old.look()
	return old.over
}

// renew returns the terms for an SMTP session that begins: the newest if they
// suit what was agreed on with the MTA of the connection, or else those that
// the session has. If they are others, it is to leave its own.
func (m *Milter) renew(s *session) *terms {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.terms
	if t == s.terms || t.actions != s.agreed.actions || t.protocol != s.agreed.protocol {
		return s.terms
	}
	t.users++
	return t
}

// leave is called when a connection uses the terms no more.
func (m *Milter) leave(t *terms) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t.users--
	t.look()
}

// look sees whether all is over, with Milter.mu held.
func (t *terms) look() {
	if t.retired && t.users == 0 {
		close(t.over)
	}
}
