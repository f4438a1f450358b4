package relay

import (
	"context"
	"net"
	"net/netip"
)

// Connect makes the relay reach its upstream by dial.
func (r *Relay) Connect(dial func(ctx context.Context, network, address string) (net.Conn, error)) {
	r.connect = dial
}

// Held returns the number of upstream connections that are in use.
func (r *Relay) Held() int { return len(r.slots) }

// Counted returns the number of sessions and of client networks.
func (l *Limiter) Counted() (sessions, networks int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all, len(l.clients)
}

// Network returns what a client is counted by.
func Network(client netip.Addr) netip.Prefix { return network(client) }
