package relay

import (
	"errors"
	"os"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
)

// farewell says what there is to say at the end of a session.
func (s *session) farewell(err error) {
	defer func() { s.endsBy(s.endOf(err)) }()
	switch {
	case errors.Is(err, errEnd):
	case errors.Is(err, errDraining):
		s.endTransaction(chain.Result{Reply: named(shuttingDown, s.relay.Hostname), Reason: "shutdown"})
		s.say(shuttingDown)
	case errors.Is(err, errSlow):
		s.endTransaction(chain.Result{Reply: named(tooSlow, s.relay.Hostname), Filter: limits, Reason: "text_too_slow"})
		s.refuseSession(limits, "text_too_slow", tooSlow)
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.endTransaction(chain.Result{Reply: named(timedOut, s.relay.Hostname), Reason: "client_timeout"})
		s.refuseSession(limits, "client_timeout", timedOut)
	default: // the client is gone
		s.endTransaction(chain.Result{Reason: "client_lost"})
		return
	}
	s.linger()
}

func (s *session) cutOff() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.isCut
}

// close gives back what the session holds. An upstream that is still there
// waits for a command, or its reply would have ended it.
func (s *session) close() {
	s.conn.Close()
	s.tx.content.close() // after a panic
	if s.up != nil {
		s.quitUpstream()
	}
	if s.run != nil {
		s.run.Close()
	}
	s.countTraffic()
	s.relay.tally.end(s.end)
	s.stop()
}

// endAt ends the session at a limit.
func (s *session) endAt(reason string, r filters.Reply) error {
	if err := s.settle(); err != nil {
		return err
	}
	s.refuseSession(limits, reason, r)
	return errEnd
}
