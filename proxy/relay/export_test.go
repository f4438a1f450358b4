package relay

import (
	"net/netip"
)

// Counted returns the number of sessions and of client networks.
func (l *Limiter) Counted() (sessions, networks int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all, len(l.clients)
}

// Network returns what a client is counted by.
func Network(client netip.Addr) netip.Prefix { return network(client) }
