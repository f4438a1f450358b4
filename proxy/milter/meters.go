package milter

import (
	"cmp"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/internal/door"
)

// Meters count what the milters of a process do. Nil counts nothing. It is safe
// for concurrent use.
type Meters struct {
	door        *door.Meters
	connections *door.Level
	events      filters.Counter
}

// NewMeters returns meters that show what they count to the operator of env, and
// sessions to d.
func NewMeters(env filters.Env, d *door.Meters) *Meters {
	return &Meters{
		door:        d,
		connections: door.NewLevel(env.Gauge("mailweir_milter_connections", "Connections of MTAs.", "listener")),
		events:      env.Counter("mailweir_milter_events_total", "Packets of the milter protocol that MTAs have sent.", "listener", "event"),
	}
}

// eventNames are the commands of MTAs, as fault lets them pass.
var eventNames = map[byte]string{
	'O': "negotiate", 'D': "macros", 'C': "connect", 'H': "helo", 'M': "mail", 'R': "rcpt", 'T': "data", 'L': "header",
	'N': "eoh", 'B': "body", 'E': "eom", 'U': "unknown", 'A': "abort", 'Q': "quit", 'K': "quit_new_connection",
}

// tally is Meters for one listener, with its labels at hand.
type tally struct {
	*Meters
	listener string
	labels   [256][]string // of each command
}

func newTally(o *Options) *tally {
	t := &tally{Meters: o.Meters, listener: o.Name}
	if o.Meters != nil {
		o.Meters.door.Expect(o.Name, "closed", "mta_lost", "mta_timeout", "bad_packet", "shutdown")
	}
	for code, name := range eventNames {
		t.labels[code] = []string{o.Name, name}
	}
	return t
}

// event counts a packet of an MTA.
func (t *tally) event(code byte) {
	if t.Meters != nil {
		t.events.Add(1, t.labels[code]...)
	}
}

// connection counts one that begins, or ends.
func (t *tally) connection(by int) {
	if t.Meters != nil {
		t.connections.Add(by, t.listener)
	}
}

// turnAway counts a connection for which there is no room.
func (t *tally) turnAway(reason string) {
	if t.Meters != nil {
		t.door.TurnAway(t.listener)
		t.door.Limit(t.listener, reason)
	}
}

// limit counts a limit that ended a message.
func (t *tally) limit(reason string) {
	if t.Meters != nil {
		t.door.Limit(t.listener, reason)
	}
}

// count counts an SMTP session whose client the MTA has told of.
func (s *session) count() {
	if m := s.terms.Meters; m != nil {
		m.door.Begin(s.terms.Name)
	}
}

// countEnd counts its end: the MTA has ended it, or its connection has ended for
// a reason.
func (s *session) countEnd() {
	if m := s.terms.Meters; m != nil && s.connected {
		m.door.End(s.terms.Name, cmp.Or(s.guard.why(), "closed"))
	}
}
