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
func (r *Relay) Held() int { return r.terms.slots.held() }

// Counted returns the number of sessions and of client networks.
func (l *Limiter) Counted() (sessions, networks int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all, len(l.clients)
}

// Network returns what a client is counted by.
func Network(client netip.Addr) netip.Prefix { return network(client) }

// Slots are the places for connections to one upstream.
type Slots struct{ *slots }

// NewSlots returns that many.
func NewSlots(max int) Slots { return Slots{newSlots(max)} }

// Take is the slots' take.
func (s Slots) Take(ctx context.Context) bool { return s.take(ctx) }

// Release is the slots' release.
func (s Slots) Release() { s.release() }

// Resize is the slots' resize.
func (s Slots) Resize(max int) { s.resize(max) }

// Waiting returns how many wait.
func (s Slots) Waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.waiting)
}
