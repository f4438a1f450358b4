package upstream

import (
	"context"
	"net"
	"time"
)

// use is whose a connection is.
type use struct {
	group    *Group  // of the session that has it, or had it last
	at       *server // nil if nobody keeps connections to it
	raw      net.Conn
	unhook   func() bool // forgets the session's context
	born     time.Time
	sessions int
	errors   int       // replies of class 4 and 5 that have come
	since    time.Time // when it was kept
	vacant   bool      // it has no slot
	leaving  bool      // its slot is no session's any more
}

// What a connection may serve before it is ended: a server that counts errors,
// or grows weary, gets a new one in time.
const (
	maxAge      = 5 * time.Minute
	maxSessions = 100
	maxRefusals = 10
)

// Reused reports whether the connection has served another session before. The
// server may have closed it when it was taken: what fails then may work with
// another.
func (c *Conn) Reused() bool { return c.sessions > 1 }

// bind has the connection cut when ctx ends.
func (c *Conn) bind(ctx context.Context, raw net.Conn) {
	c.raw = raw
	c.unhook = context.AfterFunc(ctx, func() { raw.Close() })
}

// unbind forgets that. It reports false if the connection is cut.
func (c *Conn) unbind() bool { return c.unhook == nil || c.unhook() }

// vacate gives the slot of a connection back that is closed.
func (c *Conn) vacate() {
	if c.vacant {
		return
	}
	c.vacant = true
	c.unbind()
	sv := c.at
	f := sv.pool.fleet
	f.mu.Lock()
	defer f.mu.Unlock()
	sv.vacate()
	if c.leaving {
		sv.ours--
	}
	sv.unpin()
	sv.pool.show(sv.label)
}

// vacate gives a slot back.
func (sv *server) vacate() { sv.slots.release() }

// Keep ends the session's use of a connection on which nothing is under way, and
// nobody has logged in. It is kept for another session, if the group keeps
// connections, or else ended by QUIT, without a wait. It reports whether it is
// kept; in any case it is the session's no more.
func (c *Conn) Keep() bool {
	f := c.at.pool.fleet
	intact := c.unbind()
	f.mu.Lock()
	if intact && c.keepable() {
		c.shelve()
		f.mu.Unlock()
		return true
	}
	if intact && f.start(func() { sayGoodbye([]*Conn{c}) }) {
		c.leaving = true
		c.at.ours++
		f.mu.Unlock()
		return false
	}
	f.mu.Unlock()
	c.Close()
	return false
}

// keepable reports whether another session may have the connection.
func (c *Conn) keepable() bool {
	g, sv := c.at.pool.latest(), c.at
	switch {
	case sv.pool.fleet.closed, sv.gone, g == nil, !g.takes(c):
		return false
	case c.errors >= maxRefusals, c.sessions >= maxSessions:
		return false
	}
	return c.Queued() == 0 && c.Buffered() == 0 && sv.slots.held()+len(sv.idle) <= g.MaxConnections
}

// takes reports whether sessions of the group may use a connection that another
// has begun.
func (g *Group) takes(c *Conn) bool {
	if !g.Reuse || g.ReuseIdle <= 0 || g.Identity != NoIdentity && g.Identity != XFORWARD {
		return false
	}
	if time.Since(c.born) >= maxAge {
		return false
	}
	made := c.group
	if g == made {
		return true
	}
	// What TLS is to be may have changed with the configuration.
	return g.Identity == made.Identity && g.LMTP == made.LMTP && g.Hostname == made.Hostname && g.TLS == NoTLS && made.TLS == NoTLS
}

// shelve puts a connection among those that nobody uses.
func (c *Conn) shelve() {
	sv := c.at
	c.Release()
	c.vacant, c.since = true, time.Now()
	sv.idle = append(sv.idle, c)
	if len(sv.idle) == 1 {
		sv.retire(sv.pool.latest().ReuseIdle)
	}
	sv.slots.release() // whoever waits for it finds the connection
	sv.pins--
	sv.pool.show(sv.label)
}
