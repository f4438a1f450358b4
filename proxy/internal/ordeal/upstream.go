package ordeal

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Options say how an upstream behaves.
type Options struct {
	Name string      // part of what its chance depends on
	Seed uint64      // of all chance, and of the texts
	Rate float64     // share of replies and texts with a fault: 0 to 1
	TLS  *tls.Config // mail is taken by TLS only, after STARTTLS; nil for none
	LMTP bool        // a reply for each recipient, and LHLO
	// XClient has the relay tell who the client is.
	XClient bool
	// Domain is that of all recipients; "" for any.
	Domain string
	// Kill kills the relay and returns when it is dead. It need not, if that was
	// a moment ago.
	Kill func()
	// Original turns a text that has come back to what was sent, or says what is
	// wrong with it. nil for texts that must not change.
	Original func(text []byte) (original []byte, wrong string)
}

// An Upstream is an SMTP server that fails now and then. What it takes it writes
// down in the ledger.
type Upstream struct {
	Addr string

	Options
	ledger   *Ledger
	listener net.Listener
	ctx      context.Context
	stop     context.CancelFunc
	visits   sync.WaitGroup
	number   atomic.Int64 // of connections
	inStall  atomic.Int64 // connections that have stalled and are not at their end
}

// Listen starts an upstream at a free port of loopback. Close ends it.
func Listen(l *Ledger, o Options) (*Upstream, error) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	u := &Upstream{Addr: listener.Addr().String(), Options: o, ledger: l, listener: listener}
	u.ctx, u.stop = context.WithCancel(context.Background())
	u.visits.Go(u.accept)
	return u, nil
}

func (u *Upstream) accept() {
	for {
		conn, err := u.listener.Accept()
		if err != nil {
			return
		}
		u.visits.Go(func() {
			defer context.AfterFunc(u.ctx, func() { conn.Close() })()
			v := newVisit(u, conn)
			v.serve()
			if v.stalled {
				u.inStall.Add(-1)
			}
		})
	}
}

// Close ends all connections and returns when nothing is under way. Those that
// have stalled may first find out what came meanwhile.
func (u *Upstream) Close() {
	for deadline := time.Now().Add(2 * u.ledger.Patience); u.inStall.Load() > 0 && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	u.stop()
	u.listener.Close()
	u.visits.Wait()
}

// sleep waits, but not beyond the end.
func (u *Upstream) sleep(d time.Duration) {
	select {
	case <-time.After(d):
	case <-u.ctx.Done():
	}
}

func (u *Upstream) kill() {
	if u.Kill != nil && u.ctx.Err() == nil {
		u.Kill()
	}
}
