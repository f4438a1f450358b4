// Package store is the memory beyond sessions: in the process, and behind it in
// a file, if the operator wants it to outlive the process.
package store

import (
	"bytes"
	"log/slog"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/mailweir/mailweir/filters"
)

// Bounds of one entry.
const (
	MaxKey   = 1 << 10  // octets
	MaxValue = 64 << 10 // octets
)

// perEntry is how many octets an entry may take in memory on average: entries
// that are larger leave room for fewer of them. overhead is what one takes
// besides key and value.
const (
	perEntry = 1 << 10
	overhead = 200
)

// Options say how much is remembered, and what a store uses of its host.
type Options struct {
	Entries int         // most of them in memory, and most in the file; at least 1
	Env     filters.Env // Log, Now, Metrics
}

// Store is a filters.Store. When it is full it forgets what has not been used
// for the longest time in memory, and what ends first in the file.
type Store struct {
	log     *slog.Logger
	now     func() time.Time
	max     int
	metrics instruments

	mu     sync.Mutex
	memory *simplelru.LRU[string, entry]
	size   int // octets in memory
	queue  queue
	disk   *disk // nil without a file

	stop chan struct{} // closed to end the writer
	done chan struct{} // closed when it has ended; nil without a file
}

var _ filters.Store = (*Store)(nil)

// entry is a value with its end of life, in milliseconds of Unix time.
type entry struct {
	value []byte
	until int64
}

// New returns a store that is in memory alone.
func New(o Options) *Store {
	s := &Store{log: o.Env.Log, now: o.Env.Now, max: max(1, o.Entries), metrics: newInstruments(o.Env)}
	forgotten := func(key string, e entry) { s.size -= sizeOf(key, e) }
	s.memory, _ = simplelru.NewLRU(s.max, forgotten) // fails without room only
	return s
}

func sizeOf(key string, e entry) int { return len(key) + len(e.value) + overhead }

// Get returns what was stored under the key and is still valid. It does not
// allocate for what is in memory.
func (s *Store) Get(key string) ([]byte, bool) {
	now := s.now().UnixMilli()
	e, found, disk := s.recall(key)
	from := memory
	if !found && disk != nil {
		if e, found = disk.get(key); found {
			from = file
			s.keep(key, e)
		}
	}
	if !found || e.until <= now {
		s.metrics.reads.Add(1, none...)
		return nil, false
	}
	s.metrics.reads.Add(1, from...)
	return e.value, true
}

// recall looks for the key in memory, and in what is on its way to the disk. It
// returns the disk for those who want to look further.
func (s *Store) recall(key string) (entry, bool, *disk) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.memory.Get(key); ok {
		return e, true, s.disk
	}
	e, ok := s.queue.get(key)
	return e, ok, s.disk
}

// keep takes into memory what was read from the disk, unless something newer
// has come.
func (s *Store) keep(key string, e entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.memory.Contains(key) {
		s.add(key, e)
	}
}

// Put stores a copy of the value for as long as life. It never waits for the
// disk. A key of more than MaxKey octets or a value of more than MaxValue is
// only counted.
func (s *Store) Put(key string, value []byte, life time.Duration) {
	if len(key) == 0 || len(key) > MaxKey || len(value) > MaxValue {
		s.metrics.lost.Add(1, tooLarge...)
		return
	}
	e := entry{bytes.Clone(value), s.now().Add(life).UnixMilli()}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add(key, e)
	if s.disk != nil && !s.queue.put(key, e) {
		s.metrics.lost.Add(1, queueFull...)
	}
}

// add puts an entry into memory, in place of others if need be.
func (s *Store) add(key string, e entry) {
	if old, ok := s.memory.Peek(key); ok {
		s.size -= sizeOf(key, old)
	}
	s.memory.Add(key, e)
	s.size += sizeOf(key, e)
	for s.size > s.max*perEntry && s.memory.Len() > 1 {
		s.memory.RemoveOldest()
	}
	s.metrics.entries.Set(float64(s.memory.Len()), memory...)
}
