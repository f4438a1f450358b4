package env

import (
	"errors"
	"io"
	"sync"

	"github.com/mailweir/mailweir/filters"
)

// kept is what filters keep beyond their own life.
type kept struct {
	mu     sync.Mutex
	values map[string]*keepsake
}

type keepsake struct {
	value  any
	leases int // that have it
}

// Lease is what the filters of one chain get. What they keep is the host's, and
// lasts until all leases that have it have ended. It is safe for concurrent
// use.
type Lease struct {
	host *Host
	has  map[string]bool // guarded by host.kept.mu; nil when it has ended
}

// Lease begins one. It is to be ended.
func (h *Host) Lease() *Lease { return &Lease{host: h, has: map[string]bool{}} }

// Env returns what the filters of the chain get.
func (l *Lease) Env() filters.Env {
	env := l.host.env
	env.Keeper = l
	return env
}

// Keep does what filters.Env.Keep says. After End it keeps nothing.
func (l *Lease) Keep(key string, make func() any) any {
	k := &l.host.kept
	k.mu.Lock()
	defer k.mu.Unlock()
	if l.has == nil {
		return make()
	}
	s := k.values[key]
	if s == nil {
		s = &keepsake{value: make()}
		k.values[key] = s
	}
	if !l.has[key] {
		l.has[key] = true
		s.leases++
	}
	return s.value
}

// End drops what no other lease has. Call it when the chain is closed; further
// calls do nothing.
func (l *Lease) End() error {
	var errs []error
	for _, value := range l.give() {
		if c, ok := value.(io.Closer); ok {
			errs = append(errs, c.Close())
		}
	}
	return errors.Join(errs...)
}

// give gives back what the lease has, and returns what nobody has now.
func (l *Lease) give() (dropped []any) {
	k := &l.host.kept
	k.mu.Lock()
	defer k.mu.Unlock()
	for key := range l.has {
		s := k.values[key]
		if s.leases--; s.leases == 0 {
			delete(k.values, key)
			dropped = append(dropped, s.value)
		}
	}
	l.has = nil
	return dropped
}
