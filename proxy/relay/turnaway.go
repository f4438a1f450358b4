package relay

import (
	"log/slog"
	"net"
	"net/netip"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/internal/door"
	"github.com/mailweir/mailweir/proxy/smtp"
)

// draining is why a client is turned away for whom there would be room.
const draining = "draining"

// turnAway logs and counts a client for whom there is no session, and returns
// what to tell it.
func (t *terms) turnAway(client netip.AddrPort, reason string, reply filters.Reply) (words []byte) {
	id := door.NewID()
	reply = withID(named(reply, t.Hostname), id)
	t.tally.turnAway(reason)
	t.Log.LogAttrs(t.relay.ctx, slog.LevelInfo, "refused",
		slog.String("id", id),
		slog.String("listener", t.Name),
		slog.String("client", client.String()),
		slog.String("stage", filters.Connect.String()),
		slog.String("filter", limits),
		slog.String("reason", reason),
		slog.String("action", filters.Hangup.String()),
		slog.String("reply", reply.String()))
	return smtp.AppendReply(nil, reply)
}

// dismiss closes a connection after some last words.
func (t *terms) dismiss(conn net.Conn, words []byte) {
	if t.TLS != nil && t.TLS.Implicit { // it waits for something else
		conn.Close()
		return
	}
	door.Dismiss(conn, words)
}
