package upstream

import (
	"context"
	"slices"
	"sync"
)

// slots are the places for connections to one server. Who comes first is
// served first.
type slots struct {
	mu      sync.Mutex
	max     int
	taken   int
	waiting []chan struct{} // each closed when its place is there
}

func newSlots(max int) *slots { return &slots{max: max} }

// resize changes how many places there are. Those in excess vanish when they
// are given back.
func (s *slots) resize(max int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.max = max
	s.grant()
}

// tryTake takes a place if there is one now.
func (s *slots) tryTake() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken < s.max && len(s.waiting) == 0 {
		s.taken++
		return true
	}
	return false
}

// take waits for a place. It reports false when ctx ends first.
func (s *slots) take(ctx context.Context) bool {
	if s.tryTake() {
		return true
	}
	s.mu.Lock()
	place := make(chan struct{})
	s.waiting = append(s.waiting, place)
	s.grant() // one may have come back since
	s.mu.Unlock()
	select {
	case <-place:
		return true
	case <-ctx.Done():
		return !s.withdraw(place)
	}
}

// withdraw reports false when the place was granted in the meantime.
func (s *slots) withdraw(place chan struct{}) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.waiting, place)
	if i < 0 {
		return false
	}
	s.waiting = slices.Delete(s.waiting, i, i+1)
	return true
}

// release gives a place back.
func (s *slots) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken--
	s.grant()
}

func (s *slots) grant() {
	for len(s.waiting) > 0 && s.taken < s.max {
		close(s.waiting[0])
		s.waiting = slices.Delete(s.waiting, 0, 1)
		s.taken++
	}
}

func (s *slots) held() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken
}
