package door

import (
	"sync"

	"github.com/mailweir/mailweir/filters"
)

// Meters count the sessions of all listeners of a process. Nil counts nothing.
// It is safe for concurrent use.
type Meters struct {
	sessions      filters.Gauge
	ended, limits filters.Counter

	mu   sync.Mutex
	open map[string]int // sessions by listener
}

// NewMeters returns meters that show what they count to the operator of env.
func NewMeters(env filters.Env) *Meters {
	return &Meters{
		sessions: env.Gauge("mailweir_sessions", "SMTP sessions under way.", "listener"),
		ended:    env.Counter("mailweir_sessions_total", "SMTP sessions that have ended, by how.", "listener", "end"),
		limits:   env.Counter("mailweir_limits_total", "Times that a limit was hit.", "listener", "reason"),
		open:     map[string]int{},
	}
}

// Begin counts a session that begins.
func (m *Meters) Begin(listener string) {
	if m != nil {
		m.change(listener, 1)
	}
}

// End counts a session that has begun and ends now. how is one of a small set of
// words, as is each reason below.
func (m *Meters) End(listener, how string) {
	if m != nil {
		m.change(listener, -1)
		m.ended.Add(1, listener, how)
	}
}

// TurnAway counts a client that got no session.
func (m *Meters) TurnAway(listener string) {
	if m != nil {
		m.ended.Add(1, listener, "turned_away")
	}
}

// Limit counts a limit that was hit.
func (m *Meters) Limit(listener, reason string) {
	if m != nil {
		m.limits.Add(1, listener, reason)
	}
}

func (m *Meters) change(listener string, by int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.open[listener] += by
	m.sessions.Set(float64(m.open[listener]), listener)
}
