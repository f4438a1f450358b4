package relay

import (
	"errors"
	"os"
	"sync"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/internal/door"
	"github.com/mailweir/mailweir/proxy/smtp"
	"github.com/mailweir/mailweir/proxy/upstream"
)

// Meters count what the relays of a process do. Nil counts nothing. It is safe
// for concurrent use.
type Meters struct {
	door           *door.Meters
	received, sent filters.Counter
	spooled, files filters.Gauge

	mu    sync.Mutex
	spool spooled // by all sessions
}

// NewMeters returns meters that show what they count to the operator of env, and
// sessions to d.
func NewMeters(env filters.Env, d *door.Meters) *Meters {
	m := &Meters{
		door:     d,
		received: env.Counter("mailweir_client_received_bytes_total", "Octets of SMTP that clients have sent.", "listener"),
		sent:     env.Counter("mailweir_client_sent_bytes_total", "Octets of SMTP that clients were sent.", "listener"),
		spooled:  env.Gauge("mailweir_spool_bytes", "Octets of messages that are held until the verdict, by place.", "place"),
		files:    env.Gauge("mailweir_spool_files", "Temporary files of messages that are held."),
	}
	m.showSpool()
	return m
}

// spooled is how much is held, and where.
type spooled struct{ memory, disk, files int64 }

// hold counts what is held more, or less.
func (m *Meters) hold(more spooled) {
	if m == nil || more == (spooled{}) {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.spool.memory += more.memory
	m.spool.disk += more.disk
	m.spool.files += more.files
	m.showSpool()
}

func (m *Meters) showSpool() {
	m.spooled.Set(float64(m.spool.memory), "memory")
	m.spooled.Set(float64(m.spool.disk), "disk")
	m.files.Set(float64(m.spool.files))
}

// tally is Meters for one listener, with its label at hand.
type tally struct {
	*Meters
	listener []string
}

func newTally(o *Options) tally {
	if o.Meters != nil {
		o.Meters.door.Expect(o.Name, ends...)
	}
	return tally{o.Meters, []string{o.Name}}
}

func (t *tally) begin() {
	if t.Meters != nil {
		t.door.Begin(t.listener[0])
	}
}

func (t *tally) end(how string) {
	if t.Meters != nil {
		t.door.End(t.listener[0], how)
	}
}

// turnAway counts a client that got no session, and the limit that was hit, if it
// was one.
func (t *tally) turnAway(reason string) {
	if t.Meters == nil {
		return
	}
	t.door.TurnAway(t.listener[0])
	if reason != draining {
		t.limit(reason)
	}
}

// deny counts a client that was refused without a session, and what it was told,
// as a session would.
func (t *tally) deny(octets int) {
	if t.Meters != nil {
		t.door.Deny(t.listener[0], endRefused)
		t.sent.Add(float64(octets), t.listener...)
	}
}

// limit counts a limit that was hit.
func (t *tally) limit(reason string) {
	if t.Meters != nil {
		t.door.Limit(t.listener[0], reason)
	}
}

// traffic is octets of SMTP since they were last counted.
type traffic struct{ received, sent int }

// countTraffic counts what has passed since the last time.
func (s *session) countTraffic() {
	t := &s.relay.tally
	if t.Meters == nil || s.traffic == (traffic{}) {
		return
	}
	t.received.Add(float64(s.traffic.received), t.listener...)
	t.sent.Add(float64(s.traffic.sent), t.listener...)
	s.traffic = traffic{}
}

// How sessions end, as metrics name it.
const (
	endQuit     = "quit"
	endLost     = "client_lost"
	endTimeout  = "client_timeout"
	endRefused  = "refused"       // by a filter, or for what the client said
	endLimit    = "limit"         // it hit one
	endUpstream = "upstream_lost" // it could not be reached, or was lost, or has said 421
	endShutdown = "shutdown"
	endTLS      = "tls_failed"
	endProxy    = "proxy_failed" // no good PROXY header
	endPanic    = "panic"
)

var ends = []string{endQuit, endLost, endTimeout, endRefused, endLimit, endUpstream, endShutdown, endTLS, endProxy, endPanic}

// endsBy notes how the session ends. The first to know it is right.
func (s *session) endsBy(how string) {
	if s.end == "" {
		s.end = how
	}
}

// endOf tells how a session has ended that was served until err.
func (s *session) endOf(err error) string {
	switch {
	case s.goodbye:
		return endQuit
	case errors.Is(err, errEnd):
		return endUpstream // all others have said so
	case errors.Is(err, errDraining), errors.Is(err, errHandshake) && s.isDraining():
		return endShutdown
	case errors.Is(err, errHandshake):
		return endTLS
	case errors.Is(err, os.ErrDeadlineExceeded):
		return endTimeout
	}
	return endLost
}

// took counts what the upstream took since then for a step, and returns the time.
func (s *session) took(step upstream.Step, since time.Time) time.Time {
	now := time.Now()
	s.group.Took(step, now.Sub(since))
	return now
}

// stepOf returns the step of a command.
func stepOf(verb smtp.Verb) upstream.Step {
	switch verb {
	case smtp.MAIL:
		return upstream.Mail
	case smtp.RCPT:
		return upstream.Rcpt
	case smtp.DATA:
		return upstream.Data
	}
	return upstream.Other
}

// limits is who refuses for a limit, in the log.
const limits = "limits"

// countRefusal counts that the session ends because of that.
func (s *session) countRefusal(filter, reason string) {
	switch {
	case filter != limits:
		s.endsBy(endRefused)
		return
	case reason == endTimeout:
		s.endsBy(endTimeout)
	default:
		s.endsBy(endLimit)
	}
	s.relay.tally.limit(reason)
}
