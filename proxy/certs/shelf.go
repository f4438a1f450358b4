package certs

import (
	"context"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/mailweir/mailweir/filters"
)

// lookEvery is the time between two looks at the files. A change is in force
// after two of them at the most.
const lookEvery = 10 * time.Second

// Shelf has the files of all listeners and upstreams, each read once. One
// goroutine looks at them. It is safe for concurrent use.
type Shelf struct {
	log   *slog.Logger
	now   func() time.Time
	until filters.Gauge

	mu      sync.Mutex
	sources map[origin]*source

	stop context.CancelFunc
	done sync.WaitGroup
}

// New returns an empty shelf, which is to be closed.
func New(env filters.Env) *Shelf {
	ctx, stop := context.WithCancel(context.Background())
	s := &Shelf{
		log: env.Log,
		now: env.Now,
		until: env.Gauge("mailweir_certificate_not_after_timestamp_seconds",
			"When a certificate expires, or the last one of a file of authorities, in Unix time.", "file"),
		sources: map[origin]*source{},
		stop:    stop,
	}
	if s.now == nil {
		s.now = time.Now
	}
	s.done.Go(func() { s.watch(ctx) })
	return s
}

// Close ends the looks at the files. What was made of them stays usable, as
// they were.
func (s *Shelf) Close() {
	s.stop()
	s.done.Wait()
}

func (s *Shelf) watch(ctx context.Context) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			s.look()
		}
	}
}

func (s *Shelf) look() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, src := range s.sources {
		if src.look(s.log) {
			s.log.Info("files of TLS read again", "file", src.file(), "not_after", stamp(src.value.Load().end))
			s.announce(src)
		}
		src.complain(s.log, s.now())
	}
}

// take returns the source of those files, read now if they are new or have
// changed. It is to be dropped.
func (s *Shelf) take(o origin) (*source, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	src := s.sources[o]
	if src == nil {
		src = &source{origin: o}
	}
	if now := o.state(); !now.same(src.seen) {
		if err := src.load(now); err != nil {
			return nil, err
		}
		s.announce(src)
		src.complain(s.log, s.now())
	}
	s.sources[o] = src
	src.users++
	return src, nil
}

// announce tells of what was read.
func (s *Shelf) announce(src *source) {
	c := src.value.Load()
	s.until.Set(float64(c.end.Unix()), src.file())
	if c.exposed {
		s.log.Warn("every user of this machine has rights on the key file: take them away with chmod o=", "file", src.Key)
	}
	if c.skipped > 0 {
		s.log.Warn("some certificate authorities cannot be read, and are left out", "file", src.file(), "count", c.skipped)
	}
}

// drop ends the use of sources.
func (s *Shelf) drop(sources []*source) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, src := range sources {
		if src.users--; src.users > 0 {
			continue
		}
		delete(s.sources, src.origin)
		if !s.shows(src.file()) {
			s.until.Set(math.NaN(), src.file()) // a gauge cannot be taken back, and 0 would look expired
		}
	}
}

// shows reports whether something of that file is in use.
func (s *Shelf) shows(file string) bool {
	for _, src := range s.sources {
		if src.file() == file {
			return true
		}
	}
	return false
}
