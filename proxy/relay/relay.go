package relay

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/mailweir/mailweir/proxy/internal/door"
)

// Relay serves the sessions of one listener.
type Relay struct {
	ctx    context.Context
	cancel context.CancelFunc

	mu       sync.Mutex
	terms    *terms // of sessions that begin now
	listener net.Listener
	accepted chan struct{} // closed when no more will be accepted; nil before Serve
	closing  bool          // no more shall be
	draining bool
	sessions map[*session]struct{}
	hurried  time.Time // when waits were last cut short
	done     sync.WaitGroup
	crew     *crew
}

// New returns a relay. It fails when the chain asks for what a relay cannot do.
func New(o Options) (*Relay, error) {
	if err := o.Chain.Fits(Offers); err != nil {
		return nil, err
	}
	r := &Relay{sessions: make(map[*session]struct{}), crew: newCrew()}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.terms = newTerms(r, o)
	return r, nil
}

// Serve accepts sessions until Shutdown, and returns nil then.
func (r *Relay) Serve(l net.Listener) error {
	r.mu.Lock()
	r.listener, r.accepted = l, make(chan struct{})
	closing, o := r.closing, r.terms.Options
	r.mu.Unlock()
	defer close(r.accepted)
	if closing {
		return l.Close()
	}
	door.Sift(l, o.Log.With("listener", o.Name), r.deny, r.accept)
	return nil
}

// accept starts a session, or refuses it before anything is spent on it.
func (r *Relay) accept(conn net.Conn) {
	client := door.Addr(conn.RemoteAddr())
	t := r.enter()
	counted := client.Addr()
	if t.proxied(counted) {
		counted = unknown
	}
	as, reason := r.full(t, counted)
	if reason != "" {
		t.dismiss(conn, t.turnAway(client, reason, tooManySessions))
		r.leave(t)
		return
	}
	s := newSession(t, conn, client, as)
	r.mu.Lock()
	if r.draining {
		r.mu.Unlock()
		s.stop()
		t.Limiter.release(as)
		t.dismiss(conn, t.turnAway(client, draining, shuttingDown))
		r.leave(t)
		return
	}
	r.sessions[s] = struct{}{}
	r.done.Add(1)
	r.mu.Unlock()
	if t.stressed() {
		r.hurry()
	}
	r.crew.do(func() {
		defer r.done.Done()
		defer r.leave(t)
		defer func() { t.Limiter.release(s.counted) }()
		s.serve()
		r.mu.Lock()
		delete(r.sessions, s)
		r.mu.Unlock()
	})
}

// full returns why there is no room for a session, or "": then it is counted in,
// as one of that network.
func (r *Relay) full(t *terms, counted netip.Addr) (as netip.Prefix, reason string) {
	if t.MaxSessions > 0 && !r.mayJoin(t.MaxSessions) {
		return as, "too_many_sessions_of_listener"
	}
	return t.Limiter.acquire(counted)
}

// mayJoin reports whether the listener has less than that many sessions.
func (r *Relay) mayJoin(most int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.sessions) < most
}

// Shutdown stops accepting, ends idle sessions with 421, and lets transactions
// end. When ctx ends first it cuts the rest off and returns ctx's error.
func (r *Relay) Shutdown(ctx context.Context) error {
	r.closeListener(ctx)
	r.mu.Lock()
	r.draining = true
	for s := range r.sessions {
		s.drain()
	}
	r.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		r.done.Wait()
		r.crew.dismiss()
		close(ended)
	}()
	defer r.cancel()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
	}
	r.mu.Lock()
	for s := range r.sessions {
		s.cut()
	}
	r.mu.Unlock()
	<-ended
	return ctx.Err()
}

// closeListener ends the listener, and waits for what it has accepted to become
// sessions: nobody is turned away whom the next process could not serve.
func (r *Relay) closeListener(ctx context.Context) {
	r.mu.Lock()
	r.closing = true
	l, accepted := r.listener, r.accepted
	r.mu.Unlock()
	if l != nil {
		l.Close()
		select {
		case <-accepted:
		case <-ctx.Done():
		}
	}
}
