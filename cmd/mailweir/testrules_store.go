package main

import (
	"sync"
	"time"

	"github.com/mailweir/mailweir/rules"
)

// memory is the store of a test, which is over before anything expires.
type memory struct {
	mu     sync.Mutex
	values map[string][]byte
}

func newMemory(list []rules.Remembered) *memory {
	m := &memory{values: map[string][]byte{}}
	for _, r := range list {
		m.values[r.Key] = []byte(r.Value)
	}
	return m
}

// Get implements filters.Store.
func (m *memory) Get(key string) ([]byte, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.values[key]
	return v, ok
}

// Put implements filters.Store.
func (m *memory) Put(key string, value []byte, _ time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.values[key] = append([]byte(nil), value...)
}
