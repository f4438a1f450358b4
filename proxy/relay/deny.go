package relay

import (
	"net"
	"net/netip"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/internal/door"
	"github.com/mailweir/mailweir/proxy/smtp"
)

// deny refuses a client whose address is enough for that, and reports whether it
// did. The client, the log and the metrics hear what they would of a session, but
// there is none: no goroutine, and nothing that is kept.
func (t *terms) deny(conn net.Conn, client netip.AddrPort) (denied bool) {
	if t.tellsMore(client.Addr()) {
		return false
	}
	denial, denied := t.Chain.Denies(client.Addr())
	if !denied {
		return false
	}
	defer func() {
		if recover() != nil {
			denied = false // the session comes to the same, and survives it
		}
	}()
	d := denial.Settle(t.relay.ctx, &filters.Session{ID: door.NewID(), Listener: t.Name, Client: client})
	sent := t.dismiss(conn, named(d.Reply, t.Hostname))
	t.tally.begin()
	t.tally.end(endRefused)
	t.tally.say(sent)
	return true
}

// tellsMore reports whether there may be more to hear, before the chain is asked
// or after it, of who the client is, or that it hears nothing in clear.
func (t *terms) tellsMore(peer netip.Addr) bool {
	return t.proxied(peer) || t.XClientFrom != nil && t.XClientFrom.Contains(peer) || t.TLS != nil && t.TLS.Implicit
}

// dismiss tells a client why there is no session for it, and closes. It does not
// wait. It returns how many octets were sent.
func (t *terms) dismiss(conn net.Conn, r filters.Reply) (sent int) {
	return door.Dismiss(conn, smtp.AppendReply(nil, r))
}
