package relay

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/internal/door"
	"github.com/mailweir/mailweir/proxy/smtp"
)

// Relay serves the sessions of one listener.
type Relay struct {
	Options
	announce filters.Announcement
	wants    filters.Stages
	hears    bool          // filters listen before the greeting
	hold     bool          // messages are held until the verdict
	slots    chan struct{} // one for each upstream connection

	lastOffer atomic.Pointer[knownOffer]
	connect   func(ctx context.Context, network, address string) (net.Conn, error)
	ctx       context.Context
	cancel    context.CancelFunc

	mu       sync.Mutex
	listener net.Listener
	draining bool
	sessions map[*session]struct{}
	done     sync.WaitGroup
}

// New returns a relay. It fails when the chain asks for what a relay cannot do.
func New(o Options) (*Relay, error) {
	if err := o.Chain.Fits(Offers); err != nil {
		return nil, err
	}
	r := &Relay{
		Options:  o,
		announce: o.Chain.Announce(),
		slots:    make(chan struct{}, o.MaxConnections),
		connect:  (&net.Dialer{KeepAlive: -1}).DialContext,
		sessions: make(map[*session]struct{}),
	}
	wants, needs := o.Chain.Wants()
	r.wants, r.hold, r.hears = wants, holds(needs), needs&filters.HearClient != 0
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r, nil
}

// Serve accepts sessions until Shutdown, and returns nil then.
func (r *Relay) Serve(l net.Listener) error {
	r.mu.Lock()
	r.listener = l
	draining := r.draining
	r.mu.Unlock()
	if draining {
		return l.Close()
	}
	door.Accept(l, r.Log.With("listener", r.Name), r.accept)
	return nil
}

// accept starts a session, or refuses it before anything is spent on it.
func (r *Relay) accept(conn net.Conn) {
	client := addrPort(conn.RemoteAddr())
	if reason := r.Limiter.acquire(client.Addr()); reason != "" {
		r.turnAway(conn, client, reason, tooManySessions)
		return
	}
	s := newSession(r, conn, client)
	r.mu.Lock()
	if r.draining {
		r.mu.Unlock()
		s.stop()
		r.Limiter.release(client.Addr())
		r.turnAway(conn, client, "draining", shuttingDown)
		return
	}
	r.sessions[s] = struct{}{}
	r.done.Add(1)
	r.mu.Unlock()
	go func() {
		defer r.done.Done()
		defer r.Limiter.release(client.Addr())
		s.serve()
		r.mu.Lock()
		delete(r.sessions, s)
		r.mu.Unlock()
	}()
}

// turnAway refuses a connection with one write into an empty socket buffer.
func (r *Relay) turnAway(conn net.Conn, client netip.AddrPort, reason string, reply filters.Reply) {
	id := door.NewID()
	reply = withID(named(reply, r.Hostname), id)
	conn.SetWriteDeadline(time.Now().Add(time.Second))
	conn.Write(smtp.AppendReply(nil, reply))
	conn.Close()
	r.Log.LogAttrs(r.ctx, slog.LevelInfo, "refused",
		slog.String("id", id),
		slog.String("listener", r.Name),
		slog.String("client", client.String()),
		slog.String("stage", filters.Connect.String()),
		slog.String("filter", "limits"),
		slog.String("reason", reason),
		slog.String("action", filters.Hangup.String()),
		slog.String("reply", reply.String()))
}

// Shutdown stops accepting, ends idle sessions with 421, and lets transactions
// end. When ctx ends first it cuts the rest off and returns ctx's error.
func (r *Relay) Shutdown(ctx context.Context) error {
	r.mu.Lock()
	r.draining = true
	if r.listener != nil {
		r.listener.Close()
	}
	for s := range r.sessions {
		s.drain()
	}
	r.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		r.done.Wait()
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

func addrPort(a net.Addr) netip.AddrPort {
	if tcp, ok := a.(*net.TCPAddr); ok {
		ap := tcp.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}
