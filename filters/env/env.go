// Package env is the host of filters: it opens what they share beyond a session,
// which is the resolver, the store and the metrics.
package env

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/internal/metrics"
	"github.com/mailweir/mailweir/filters/internal/resolver"
	"github.com/mailweir/mailweir/filters/internal/store"
)

// Options say what a host has.
type Options struct {
	Log     *slog.Logger
	Version string // of the program, for the metrics
	DNS     DNS
	State   State
}

// DNS is how names are looked up. Of what is zero the resolver has defaults.
type DNS struct {
	Servers      []netip.AddrPort // in the order in which they are asked; those of /etc/resolv.conf if empty
	Attempt      time.Duration    // longest wait for one answer of one server
	Timeout      time.Duration    // longest wait for all of them
	Tries        int              // rounds over all servers
	CacheEntries int              // most answers that are remembered
	MinTTL       time.Duration    // how long an answer is remembered at least,
	MaxTTL       time.Duration    // and at most
	RandomCase   bool             // ask in letters of random case, and take no answer in others
}

// State is what is remembered beyond sessions.
type State struct {
	File    string // "" to forget it with the process
	Entries int    // most of them
}

// Host has what filters share. It is safe for concurrent use, except for Start
// and Close.
type Host struct {
	env      filters.Env
	metrics  *metrics.Registry
	resolver *resolver.Resolver
	store    *store.Store
	file     string
	kept     kept
}

// Open makes a host from which filters can be built. Beyond reading
// /etc/resolv.conf it touches nothing yet: neither network nor disk. The host
// is to be closed.
func Open(o Options) (*Host, error) {
	h := &Host{metrics: metrics.New(o.Log, o.Version), file: o.State.File, kept: kept{values: map[string]*keepsake{}}}
	h.env = filters.Env{Log: o.Log, Now: time.Now, Metrics: h.metrics}
	r, err := resolver.Open(resolver.Options{
		Servers:      o.DNS.Servers,
		Attempt:      o.DNS.Attempt,
		Timeout:      o.DNS.Timeout,
		Tries:        o.DNS.Tries,
		CacheEntries: o.DNS.CacheEntries,
		MinTTL:       o.DNS.MinTTL,
		MaxTTL:       o.DNS.MaxTTL,
		RandomCase:   o.DNS.RandomCase,
		Log:          o.Log,
		Metrics:      h.metrics,
	})
	if err != nil {
		return nil, err
	}
	h.resolver = r
	h.store = store.New(store.Options{Entries: o.State.Entries, Env: h.env})
	h.env.Resolver, h.env.Store = h.resolver, h.store
	return h, nil
}

// ErrInUse is among the errors of Start when another process has the file open.
// It may be tried again.
var ErrInUse = store.ErrInUse

// Start opens the state file, if there is one. Filters may ask and remember
// before that, without the file's help.
func (h *Host) Start() error {
	if h.file == "" {
		return nil
	}
	if err := h.store.Open(h.file); err != nil {
		return fmt.Errorf("state: %w", err)
	}
	return nil
}

// Env returns what filters get. They keep nothing beyond their own life: for that
// there is Lease.
func (h *Host) Env() filters.Env { return h.env }

// Metrics serves the metrics in the text format of Prometheus.
func (h *Host) Metrics() http.Handler { return h.metrics.Handler() }

// Close ends the questions in flight, then writes what is to be remembered and
// closes the state file. Call it when the filters are closed.
func (h *Host) Close() error {
	h.resolver.Close()
	if err := h.store.Close(); err != nil {
		return fmt.Errorf("state: %w", err)
	}
	return nil
}
