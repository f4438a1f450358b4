package milter

import (
	"context"
	"net"
	"sync"
	"time"

	lib "github.com/d--j/go-milter"

	"github.com/mailweir/mailweir/proxy/internal/door"
)

// Milter serves the MTAs of one listener.
type Milter struct {
	ctx    context.Context
	cancel context.CancelFunc

	mu       sync.Mutex
	terms    *terms // of connections that begin now
	listener net.Listener
	accepted chan struct{} // closed when no more will be accepted; nil before Serve
	closing  bool          // no more shall be
	draining bool
	conns    map[*guard]struct{}
	done     sync.WaitGroup
}

// New returns a milter. It fails when the chain asks for what MTAs cannot do.
func New(o Options) (*Milter, error) {
	if err := o.Chain.Fits(Offers); err != nil {
		return nil, err
	}
	m := &Milter{terms: newTerms(o), conns: make(map[*guard]struct{})}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	libraryLog(o.Log)
	return m, nil
}

// Serve accepts MTAs until Shutdown, and returns nil then.
func (m *Milter) Serve(l net.Listener) error {
	m.mu.Lock()
	m.listener, m.accepted = l, make(chan struct{})
	closing, o := m.closing, m.terms.Options
	m.mu.Unlock()
	defer close(m.accepted)
	if closing {
		return l.Close()
	}
	door.Accept(l, o.Log.With("listener", o.Name), m.accept)
	return nil
}

// accept starts to serve a connection, if there is room.
func (m *Milter) accept(conn net.Conn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.terms
	g := newGuard(conn, t.MaxPacket, t.Timeouts, t.Log.With("listener", t.Name, "mta", peerOf(conn)))
	g.session = &session{milter: m, guard: g, terms: t, agreed: t}
	if m.draining || len(m.conns) >= t.MaxConnections {
		conn.Close()
		if !m.draining {
			t.tally.turnAway("too_many_connections")
			g.log.Warn("closed a connection of the MTA", "reason", "too_many_connections", "max", t.MaxConnections)
		}
		return
	}
	m.conns[g] = struct{}{}
	t.users++
	t.tally.connection(1)
	m.done.Go(func() { m.serve(g) })
}

// serve gives the connection to a server of its own: a server of many would
// not tell which connection a session belongs to.
func (m *Milter) serve(g *guard) {
	t := g.session.agreed
	lib.NewServer(append(macroRequests(),
		lib.WithMilter(func() lib.Milter { return g.session }),
		lib.WithActions(t.actions),
		lib.WithProtocols(t.protocol),
		lib.WithNegotiationCallback(t.negotiate),
		lib.WithWriteTimeout(t.Timeouts.Write),
	)...).Serve(&single{guard: g}) // until g is closed
	m.mu.Lock()
	delete(m.conns, g)
	m.mu.Unlock()
	t.tally.connection(-1)
	m.leave(g.session.terms)
}

// single is a listener with one connection.
type single struct {
	*guard
	accepted bool
}

// Accept returns the connection once, and then waits for its end.
func (l *single) Accept() (net.Conn, error) {
	if !l.accepted {
		l.accepted = true
		return l.guard, nil
	}
	<-l.guard.closed
	return nil, net.ErrClosed
}

// Close does nothing: the connection is closed by who serves it.
func (l *single) Close() error { return nil }

// Addr returns our end of the connection.
func (l *single) Addr() net.Addr { return l.guard.LocalAddr() }

// drainTick is the time between looks at the connections that are left.
const drainTick = 20 * time.Millisecond

// Shutdown stops accepting, closes connections that are between messages for
// the time of Timeouts.Drain, and lets messages end. When ctx ends first it
// cuts the rest off and returns ctx's error.
//
// An MTA whose connection is closed lets its default action decide on the rest
// of that SMTP session.
func (m *Milter) Shutdown(ctx context.Context) error {
	m.closeListener(ctx)
	m.mu.Lock()
	m.draining = true
	m.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		m.done.Wait()
		close(ended)
	}()
	defer m.cancel()
	tick := time.NewTicker(drainTick)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return nil
		case <-tick.C:
			m.cut(func(g *guard) bool { return g.session.idle(g.timeouts.Drain) })
		case <-ctx.Done():
			m.cut(func(*guard) bool { return true })
			m.cancel()
			<-ended
			return ctx.Err()
		}
	}
}

// closeListener ends the listener, and waits for what it has accepted to be
// served.
func (m *Milter) closeListener(ctx context.Context) {
	m.mu.Lock()
	m.closing = true
	l, accepted := m.listener, m.accepted
	m.mu.Unlock()
	if l != nil {
		l.Close()
		select {
		case <-accepted:
		case <-ctx.Done():
		}
	}
}

// cut ends the connections that it shall.
func (m *Milter) cut(shall func(*guard) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for g := range m.conns {
		if shall(g) {
			g.cut("shutdown")
		}
	}
}
