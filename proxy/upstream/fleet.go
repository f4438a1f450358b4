package upstream

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"sync"

	"github.com/mailweir/mailweir/filters"
)

// Fleet is all servers that the process knows. What is known of them outlives
// the configuration that names them.
type Fleet struct {
	// Dial makes connections; tests may change it before any is made.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	env filters.Env
	mu  sync.Mutex
	all map[string]*pool // by the groups' names
}

// NewFleet returns a fleet without servers.
func NewFleet(env filters.Env) *Fleet {
	return &Fleet{env: env, Dial: (&net.Dialer{KeepAlive: -1}).DialContext, all: map[string]*pool{}}
}

// pool is what the groups of one name share.
type pool struct {
	slots *slots
	users int
}

// Group is the servers that one part of a configuration names.
type Group struct {
	Options
	fleet *Fleet
	*pool
}

// Group returns the group of these options. Close it when nobody uses it any
// more.
func (f *Fleet) Group(o Options) *Group {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.all[o.Name]
	if p == nil {
		p = &pool{slots: newSlots(o.MaxConnections)}
		f.all[o.Name] = p
	} else {
		p.slots.resize(o.MaxConnections)
	}
	p.users++
	return &Group{Options: o, fleet: f, pool: p}
}

// Close gives the group back.
func (g *Group) Close() {
	g.fleet.mu.Lock()
	defer g.fleet.mu.Unlock()
	if g.users--; g.users == 0 {
		delete(g.fleet.all, g.Options.Name)
	}
}

// Held returns the number of connections that are in use.
func (f *Fleet) Held() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.all {
		n += p.slots.held()
	}
	return n
}

// Open returns a connection to a server of the group that has greeted us, knows
// who the client is, and waits for the client's HELO, EHLO or LHLO. It is cut
// when ctx ends.
func (g *Group) Open(ctx context.Context, s *filters.Session, t *Timeouts) (*Conn, error) {
	wait, cancel := context.WithTimeout(ctx, t.Connect)
	defer cancel()
	if !g.slots.take(wait) {
		return nil, ErrBusy
	}
	at := g.Servers[0]
	address := net.JoinHostPort(at.Host, strconv.Itoa(int(at.Port)))
	conn, err := g.fleet.Dial(wait, "tcp", address)
	if err != nil {
		g.slots.release()
		return nil, err
	}
	unhook := context.AfterFunc(ctx, func() { conn.Close() })
	c := newConn(conn, address, func() {
		unhook()
		g.slots.release()
	})
	if err := g.greet(c, s, t); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// greet brings a fresh connection to where the client's greeting is next.
func (g *Group) greet(c *Conn, s *filters.Session, t *Timeouts) error {
	r, err := c.Reply(t.Greeting)
	if err != nil {
		return fmt.Errorf("no greeting: %w", err)
	}
	if r.Code != 220 {
		return fmt.Errorf("greeting %s", r.Reply())
	}
	return nil
}
