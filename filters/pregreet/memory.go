package pregreet

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/mailweir/mailweir/filters"
)

// memory knows which tests clients have passed. Without a store it knows
// nothing. Of two sessions of a client that learn at the same time one may be
// forgotten: then a test is made once more.
type memory struct {
	store filters.Store // nil for none
	now   func() time.Time
	ttl   [numTests]time.Duration
}

// record is when what a client has passed expires, in seconds of Unix time; 0
// is what it has not passed.
type record [numTests]uint32

// recordSize is what a record takes in the store, in octets.
const recordSize = 4 * int(numTests)

func (r record) valid(t test, now time.Time) bool { return int64(r[t]) > now.Unix() }

// keyOf returns where the store keeps a client: by its address, or by the /64
// of an IPv6 address, for a host mostly has all of it. A client without an
// address has no key.
func keyOf(client netip.Addr) string {
	client = client.Unmap().WithZone("")
	if client.Is6() {
		network, _ := client.Prefix(64)
		return "pregreet/" + network.String()
	}
	if !client.IsValid() {
		return ""
	}
	return "pregreet/" + client.String()
}

func (m *memory) recall(key string) (r record) {
	if m.store == nil || key == "" {
		return r
	}
	value, ok := m.store.Get(key)
	if !ok || len(value) != recordSize {
		return r
	}
	for t := range r {
		r[t] = binary.BigEndian.Uint32(value[4*t:])
	}
	return r
}

// learn takes note of what was passed now.
func (m *memory) learn(key string, passed tests) {
	r, now := m.recall(key), m.now()
	for t := range r {
		if passed.has(test(t)) {
			r[t] = uint32(now.Add(m.ttl[t]).Unix())
		}
	}
	m.keep(key, r)
}

// forget takes back what was learnt about one test.
func (m *memory) forget(key string, t test) {
	r := m.recall(key)
	r[t] = 0
	m.keep(key, r)
}

// keep stores a record for as long as something in it is valid. One that says
// nothing takes the place of what was said before, and ends.
func (m *memory) keep(key string, r record) {
	if m.store == nil || key == "" {
		return
	}
	value := make([]byte, recordSize)
	var last uint32
	for t, end := range r {
		binary.BigEndian.PutUint32(value[4*t:], end)
		last = max(last, end)
	}
	life := time.Unix(int64(last), 0).Sub(m.now())
	m.store.Put(key, value, max(life, time.Second))
}
