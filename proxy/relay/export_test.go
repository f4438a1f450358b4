package relay

import (
	"net/netip"
)

// Counted returns the number of sessions and of client networks.
func (l *Limiter) Counted() (sessions, networks int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int(l.all.Load()), len(l.clients)
}

// Of returns what a client is counted by.
func (n Networks) Of(client netip.Addr) netip.Prefix { return n.of(client) }
