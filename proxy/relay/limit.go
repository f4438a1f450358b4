package relay

import (
	"net/netip"
	"sync"
	"sync/atomic"
)

// Limiter bounds the sessions of a process, in all and for each client network.
type Limiter struct {
	mu       sync.Mutex
	max, all atomic.Int64 // sessions that may be, and are; changed with mu held
	each     int          // most of one network
	networks Networks
	clients  map[netip.Prefix]int
	rate     rate
}

// NewLimiter returns a limiter. 0 is no limit.
func NewLimiter(max, perClient int) *Limiter {
	l := &Limiter{networks: OwnAddress, clients: make(map[netip.Prefix]int)}
	l.Resize(max, perClient, OwnAddress)
	return l
}

// Resize changes the limits, and what clients are counted by, for the sessions
// that begin from now on. 0 is no limit.
func (l *Limiter) Resize(max, perClient int, n Networks) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.max.Store(int64(max))
	l.each, l.networks = perClient, n
}

// Networks says how large the networks are that clients are counted by, in bits
// of their prefix.
type Networks struct{ IPv4, IPv6 int }

// OwnAddress counts clients by what one of them mostly has to itself.
var OwnAddress = Networks{IPv4: 32, IPv6: 64}

// of returns what a client is counted by: nothing if it has no address, such as
// one whose proxy has yet to say who it is.
func (n Networks) of(client netip.Addr) netip.Prefix {
	client = client.Unmap()
	bits := n.IPv4
	if client.Is6() {
		bits = n.IPv6
	}
	p, _ := client.Prefix(bits)
	return p
}

// unknown is a client whose proxy has yet to say who it is. All of them share
// no limit but that of all sessions.
var unknown netip.Addr

// acquire counts a session in, as one of the network that it returns. Or it
// returns why not.
func (l *Limiter) acquire(client netip.Addr) (as netip.Prefix, reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if max := l.max.Load(); max > 0 && l.all.Load() >= max {
		return as, "too_many_sessions"
	}
	as = l.networks.of(client)
	if reason := l.enter(as); reason != "" {
		return as, reason
	}
	l.all.Add(1)
	return as, ""
}

// move counts a session as one of another client, and returns what it counts as
// now. Or it returns why not: then it still counts as before.
func (l *Limiter) move(from netip.Prefix, client netip.Addr) (as netip.Prefix, reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	to := l.networks.of(client)
	if from == to {
		return from, ""
	}
	if reason := l.enter(to); reason != "" {
		return from, reason
	}
	l.leave(from)
	return to, ""
}

// enter counts a session of a network, with mu held.
func (l *Limiter) enter(n netip.Prefix) (reason string) {
	if l.each > 0 && n.IsValid() && l.clients[n] >= l.each {
		return "too_many_sessions_of_client"
	}
	if n.IsValid() && !l.rate.take(n) {
		return "too_many_new_sessions_of_client"
	}
	l.clients[n]++
	return ""
}

func (l *Limiter) leave(n netip.Prefix) {
	if l.clients[n]--; l.clients[n] == 0 {
		delete(l.clients, n)
	}
}

// load returns the share of the sessions that may be which there are, 0 if
// there is no limit.
func (l *Limiter) load() float64 {
	max := l.max.Load()
	if max <= 0 {
		return 0
	}
	return float64(l.all.Load()) / float64(max)
}

// release counts a session out that counts as that.
func (l *Limiter) release(as netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all.Add(-1)
	l.leave(as)
}
