// Package resolver asks recursive name servers, and remembers what they say.
//
// Nothing that comes from the network is believed as it is: a reply must fit
// its question in every octet, records that do not belong to the question are
// ignored, and names that could do harm in a log or a reply are dropped. The
// cache is bounded in entries and in octets.
package resolver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/mailweir/mailweir/filters"
)

// Options say whom to ask and how long, and what to remember. The zero value
// of each stands for its default.
type Options struct {
	Servers    []netip.AddrPort // the name servers, in order; none: those of ResolvConf
	ResolvConf string           // resolv.conf(5), of which only "nameserver" is heeded; default /etc/resolv.conf, which may be absent

	Attempt     time.Duration // how long one server is waited for; default 2s
	Timeout     time.Duration // how long one question may take in all; default 8s
	Tries       int           // how often a server that stays silent is asked; default 2
	MaxInFlight int           // questions at once, each with a socket and up to 64 KiB of its own; default 2000
	RandomCase  bool          // ask in letters of random case (0x20), which a forged reply must know

	CacheEntries int           // answers to remember, in at most 1 KiB each on average; default 50000
	MinTTL       time.Duration // what is remembered is so for at least that long; default 1m
	MaxTTL       time.Duration // and for at most that long; default 1h

	Log     *slog.Logger     // default: none
	Now     func() time.Time // the clock of the cache; default time.Now
	Metrics filters.Metrics  // default: none

	dial dialFunc // tests set it
}

type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// maxServers bounds how many servers one question may bother.
const maxServers = 16

// complete checks o and fills in the defaults.
func (o *Options) complete() error {
	var errs []error
	duration := func(name string, d *time.Duration, standard time.Duration) {
		if *d < 0 {
			errs = append(errs, fmt.Errorf("%s is %v: it must not be negative", name, *d))
		}
		if *d == 0 {
			*d = standard
		}
	}
	number := func(name string, n *int, standard int) {
		if *n < 0 {
			errs = append(errs, fmt.Errorf("%s is %d: it must not be negative", name, *n))
		}
		if *n == 0 {
			*n = standard
		}
	}
	duration("attempt", &o.Attempt, 2*time.Second)
	duration("timeout", &o.Timeout, 8*time.Second)
	duration("min_ttl", &o.MinTTL, time.Minute)
	duration("max_ttl", &o.MaxTTL, max(time.Hour, o.MinTTL))
	number("tries", &o.Tries, 2)
	number("max_in_flight", &o.MaxInFlight, 2000)
	number("cache_entries", &o.CacheEntries, 50000)
	if o.MinTTL > o.MaxTTL {
		errs = append(errs, fmt.Errorf("min_ttl is %v and max_ttl %v: the first must not be longer", o.MinTTL, o.MaxTTL))
	}
	if len(o.Servers) > maxServers {
		errs = append(errs, fmt.Errorf("%d name servers: name at most %d", len(o.Servers), maxServers))
	}
	for _, s := range o.Servers {
		if !s.IsValid() || s.Port() == 0 {
			errs = append(errs, fmt.Errorf("name server %v: give an address and a port, such as 127.0.0.1:53", s))
		}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.dial == nil {
		o.dial = (&net.Dialer{}).DialContext
	}
	return errors.Join(errs...)
}

// Resolver is a filters.Resolver.
type Resolver struct {
	Options
	servers *servers
	cache   *cache
	meters  *meters
	reading sync.Mutex // of a reply

	life   context.Context // of the questions in flight
	end    context.CancelFunc
	mu     sync.Mutex
	flying map[key]*flight
	all    sync.WaitGroup // of flights; none starts once life has ended
}

var _ filters.Resolver = (*Resolver)(nil)

// Open returns a resolver. It asks no server yet. It fails for options that
// make no sense, or if the file that ResolvConf names cannot be read.
func Open(o Options) (*Resolver, error) {
	if err := o.complete(); err != nil {
		return nil, fmt.Errorf("dns: %w", err)
	}
	servers, err := openServers(&o)
	if err != nil {
		return nil, fmt.Errorf("dns: %w", err)
	}
	r := &Resolver{
		Options: o,
		servers: servers,
		cache:   newCache(o.CacheEntries),
		meters:  newMeters(o.Metrics),
		flying:  map[key]*flight{},
	}
	r.life, r.end = context.WithCancel(context.Background())
	return r, nil
}

// Close ends all questions in flight and waits for that. Whoever asks later
// gets what is remembered, or fails with context.Canceled.
func (r *Resolver) Close() {
	r.mu.Lock()
	r.end()
	r.mu.Unlock()
	r.all.Wait()
}

// Known implements filters.Resolver. It does not allocate for a name in lower
// case. What it knows counts as a question in the metrics, what it does not
// know is not counted.
func (r *Resolver) Known(q filters.Question) (filters.Answer, error, bool) {
	now := r.Now()
	e := r.cache.get(key{foldName(q.Name), q.Type}, now)
	if e == nil {
		return filters.Answer{}, nil, false
	}
	a, err := e.tell(now, true)
	r.meters.hit(q.Type, err)
	return a, err, true
}

// Lookup implements filters.Resolver.
func (r *Resolver) Lookup(ctx context.Context, q filters.Question) (filters.Answer, error) {
	if a, err, ok := r.Known(q); ok {
		return a, err
	}
	return r.ask(ctx, q, false)
}

// Fresh implements filters.Resolver. A question that is already in flight is
// waited for: it is being asked now. A failure is not remembered.
func (r *Resolver) Fresh() filters.Resolver { return fresh{r} }

type fresh struct{ r *Resolver }

func (f fresh) Lookup(ctx context.Context, q filters.Question) (filters.Answer, error) {
	return f.r.ask(ctx, q, true)
}

func (f fresh) Known(filters.Question) (filters.Answer, error, bool) {
	return filters.Answer{}, nil, false
}

func (f fresh) Fresh() filters.Resolver { return f }
