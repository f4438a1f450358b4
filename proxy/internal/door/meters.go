package door

import (
	"sync"

	"github.com/mailweir/mailweir/filters"
)

// Meters count the sessions of all listeners of a process. Nil counts nothing.
// It is safe for concurrent use.
type Meters struct {
	sessions      *Level
	ended, limits filters.Counter
}

// NewMeters returns meters that show what they count to the operator of env.
func NewMeters(env filters.Env) *Meters {
	return &Meters{
		sessions: NewLevel(env.Gauge("mailweir_sessions", "SMTP sessions under way.", "listener")),
		ended:    env.Counter("mailweir_sessions_total", "SMTP sessions that have ended, by how.", "listener", "end"),
		limits:   env.Counter("mailweir_limits_total", "Times that a limit was hit.", "listener", "reason"),
	}
}

// Expect shows the sessions of a listener, and those that end so, before there are
// any: the first of a kind would not look like growth otherwise.
func (m *Meters) Expect(listener string, ends ...string) {
	if m == nil {
		return
	}
	m.sessions.Add(0, listener)
	for _, how := range ends {
		m.ended.Add(0, listener, how)
	}
}

// Begin counts a session that begins.
func (m *Meters) Begin(listener string) {
	if m != nil {
		m.sessions.Add(1, listener)
	}
}

// End counts a session that has begun and ends now. how is one of a small set of
// words, as is each reason below.
func (m *Meters) End(listener, how string) {
	if m != nil {
		m.sessions.Add(-1, listener)
		m.ended.Add(1, listener, how)
	}
}

// Deny counts a client that was refused as in a session, but without one.
func (m *Meters) Deny(listener, how string) {
	if m != nil {
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

// Level is a gauge of what comes and goes, by listener. It is safe for concurrent
// use.
type Level struct {
	gauge filters.Gauge

	mu  sync.Mutex
	now map[string]int
}

// NewLevel returns a level at 0 that g shows. The one label of g is the listener.
func NewLevel(g filters.Gauge) *Level { return &Level{gauge: g, now: map[string]int{}} }

// Add changes the level.
func (l *Level) Add(by int, listener string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now[listener] += by
	l.gauge.Set(float64(l.now[listener]), listener)
}
