package relay

import (
	"net/netip"
	"sync"
)

// Limiter bounds the sessions of a process, in all and for each client
// network: an IPv4 address, or an IPv6 /64.
type Limiter struct {
	mu      sync.Mutex
	max     int
	each    int // most of one client
	all     int
	clients map[netip.Prefix]int
	rate    rate
}

// NewLimiter returns a limiter. 0 is no limit.
func NewLimiter(max, perClient int) *Limiter {
	return &Limiter{max: max, each: perClient, clients: make(map[netip.Prefix]int)}
}

// Resize changes the limits for the sessions that begin from now on. 0 is no
// limit.
func (l *Limiter) Resize(max, perClient int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.max, l.each = max, perClient
}

// network returns what a client is counted by.
func network(client netip.Addr) netip.Prefix {
	client = client.Unmap()
	bits := 32
	if client.Is6() {
		bits = 64
	}
	p, _ := client.Prefix(bits)
	return p
}

// unknown is a client whose proxy has yet to say who it is. All of them share
// no limit but that of all sessions.
var unknown netip.Addr

// acquire counts a session in. It returns why not, or "".
func (l *Limiter) acquire(client netip.Addr) (reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.max > 0 && l.all >= l.max {
		return "too_many_sessions"
	}
	if reason := l.enter(client); reason != "" {
		return reason
	}
	l.all++
	return ""
}

// move counts a session as one of another client. It returns why not, or "":
// then it still counts as before.
func (l *Limiter) move(from, to netip.Addr) (reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if network(from) == network(to) {
		return ""
	}
	if reason := l.enter(to); reason != "" {
		return reason
	}
	l.leave(from)
	return ""
}

// enter counts a session of a client, with mu held.
func (l *Limiter) enter(client netip.Addr) (reason string) {
	n := network(client)
	if l.each > 0 && client != unknown && l.clients[n] >= l.each {
		return "too_many_sessions_of_client"
	}
	if client != unknown && !l.rate.take(n) {
		return "too_many_new_sessions_of_client"
	}
	l.clients[n]++
	return ""
}

func (l *Limiter) leave(client netip.Addr) {
	n := network(client)
	if l.clients[n]--; l.clients[n] == 0 {
		delete(l.clients, n)
	}
}

// load returns the share of the sessions that may be which there are, 0 if
// there is no limit.
func (l *Limiter) load() float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.max <= 0 {
		return 0
	}
	return float64(l.all) / float64(l.max)
}

// release counts it out.
func (l *Limiter) release(client netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all--
	l.leave(client)
}
