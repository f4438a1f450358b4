package upstream

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"sync"

	"github.com/mailweir/mailweir/filters"
)

// Fleet is all servers that the process knows. What is known of them outlives
// the configuration that names them.
type Fleet struct {
	// Dial makes connections; tests may change it before any is made. Those
	// from the addresses of clients are not made by it.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	dialFrom func(ctx context.Context, from netip.Addr, network, address string) (net.Conn, error)

	env    filters.Env
	log    *slog.Logger
	meters *meters

	life context.Context // of what the fleet does by itself
	end  context.CancelFunc
	all  sync.WaitGroup // of that; nothing starts once closed is set

	mu     sync.Mutex // guards all that follows, and pools, entries and servers
	closed bool
	pools  map[string]*pool // by the groups' names
}

// NewFleet returns a fleet without servers. Close it in the end.
func NewFleet(env filters.Env) *Fleet {
	f := &Fleet{
		Dial:     (&net.Dialer{KeepAlive: -1}).DialContext,
		dialFrom: dialFrom,
		env:      env,
		log:      env.Log,
		meters:   newMeters(env),
		pools:    map[string]*pool{},
	}
	if f.log == nil {
		f.log = slog.New(slog.DiscardHandler)
	}
	f.life, f.end = context.WithCancel(context.Background())
	return f
}

// Close ends the checks and the connections that nobody uses, and waits for
// that, some seconds at most. Connections of sessions are left to them.
func (f *Fleet) Close() {
	f.mu.Lock()
	if !f.closed {
		for _, p := range f.pools {
			for _, sv := range p.servers {
				f.farewell(sv.dismiss())
			}
		}
		f.closed = true
	}
	f.mu.Unlock()
	f.end()
	f.all.Wait()
}

// Held returns the number of connections that sessions have, or are opening:
// neither those that are kept, nor those that are being checked or ended.
func (f *Fleet) Held() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.pools {
		for _, sv := range p.servers {
			n += sv.held()
		}
	}
	return n
}

// start runs do by itself, unless the fleet is closed. f.mu is held.
func (f *Fleet) start(do func()) bool {
	if f.closed {
		return false
	}
	f.all.Go(do)
	return true
}
