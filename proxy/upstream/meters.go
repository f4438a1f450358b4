package upstream

import (
	"math"
	"time"

	"github.com/mailweir/mailweir/filters"
)

// How a session's attempt to use a server ends, as metrics name it.
const (
	connectOK          = "ok"
	connectUnreachable = "unreachable" // no connection
	connectRefused     = "refused"     // a connection, but no session: its greeting, TLS or the identity
	connectBusy        = "busy"        // no place within the time
	connectCanceled    = "canceled"    // the session has ended
)

// meters count by group and server, as the configuration names them.
type meters struct {
	up, connections  filters.Gauge
	connects, reused filters.Counter
	seconds          filters.Histogram
}

// Step is what a session waits for an upstream to do.
type Step uint8

// The steps.
const (
	Connect   Step = iota // a new connection, until the client's greeting is next
	Greet                 // the reply to HELO, EHLO or LHLO
	Mail                  // to MAIL
	Rcpt                  // to RCPT
	Data                  // to DATA
	EndOfData             // to a whole message
	Other                 // to any other command
	steps
)

var stepNames = [steps]string{"connect", "helo", "mail", "rcpt", "data", "end_of_data", "other"}

// stepSeconds are the upper bounds of the histogram: from a reply of the same
// machine to what content filters of MTAs take.
var stepSeconds = []float64{0.0005, 0.002, 0.01, 0.05, 0.2, 1, 5, 20, 60, 300}

func newMeters(env filters.Env) *meters {
	return &meters{
		up:          env.Gauge("mailweir_upstream_up", "Whether an MTA is given sessions: 1, or 0 if the last attempt to reach it has failed; NaN if the configuration names it no more.", "group", "server"),
		connections: env.Gauge("mailweir_upstream_connections", "Connections to an MTA, those included that are kept for later sessions.", "group", "server"),
		connects:    env.Counter("mailweir_upstream_connects_total", "Attempts of sessions to connect to an MTA, by result.", "group", "server", "result"),
		reused:      env.Counter("mailweir_upstream_reused_total", "Sessions that were given the connection of an earlier one.", "group"),
		seconds:     env.Histogram("mailweir_upstream_seconds", "How long upstreams took for each step of a session.", stepSeconds, "group", "step"),
	}
}

// state tells how a server is.
func (m *meters) state(group, server string, up bool, connections int) {
	value := 0.0
	if up {
		value = 1
	}
	m.up.Set(value, group, server)
	m.connections.Set(float64(connections), group, server)
}

// forget tells that the configuration names a server no more.
func (m *meters) forget(group, server string) {
	m.up.Set(math.NaN(), group, server)
	m.connections.Set(0, group, server)
}

func (m *meters) connect(group, server, result string) { m.connects.Add(1, group, server, result) }

func (m *meters) reuse(group string) { m.reused.Add(1, group) }

// clocks returns what counts the seconds of each step; nil for nothing.
func (m *meters) clocks(group string) (all [steps]func(seconds float64)) {
	for s := range all {
		all[s] = filters.Observer(m.seconds, group, stepNames[s])
	}
	return all
}

// Took counts how long a step has taken.
func (g *Group) Took(s Step, d time.Duration) {
	if count := g.clocks[s]; count != nil {
		count(d.Seconds())
	}
}
