package relay

import (
	"net/netip"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/internal/door"
	"github.com/mailweir/mailweir/proxy/smtp"
)

// deny refuses a client whose address is enough for that, and returns what to tell
// it before closing, nil for any other client. The client, the log and the
// metrics hear what they would of a session, but there is none: no goroutine, and
// nothing that is kept.
func (r *Relay) deny(client netip.AddrPort) (words []byte) {
	t := r.enter()
	defer r.leave(t)
	if t.mustHear(client.Addr()) {
		return nil
	}
	denial, denied := t.Chain.Denies(client.Addr())
	if !denied {
		return nil
	}
	defer func() {
		if recover() != nil {
			words = nil // the session comes to the same, and survives it
		}
	}()
	as, reason := r.full(t, client.Addr())
	if reason != "" {
		return t.turnAway(client, reason, tooManySessions)
	}
	t.Limiter.release(as)
	d := denial.Settle(r.ctx, &filters.Session{ID: door.NewID(), Listener: t.Name, Client: client})
	words = smtp.AppendReply(make([]byte, 0, maxWords), named(d.Reply, t.Hostname))
	t.tally.deny(len(words))
	return words
}

// maxWords is the room for last words. Longer ones take more.
const maxWords = 256

// mustHear reports whether a client must be heard before it can be refused: there
// may be more to tell of who it is, or it takes nothing in clear.
func (t *terms) mustHear(peer netip.Addr) bool {
	return t.proxied(peer) || t.XClientFrom != nil && t.XClientFrom.Contains(peer) || t.TLS != nil && t.TLS.Implicit
}
