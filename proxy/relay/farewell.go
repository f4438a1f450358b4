package relay

import (
	"errors"
	"os"
	"time"

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

// Bounds of what is read of a client that has been told goodbye: the rest of a
// message, or of what it had sent ahead if it has itself to thank for its end. One
// that floods us goes on in any case.
const (
	lingerOctets = 64 << 20
	lingerIdle   = 2 * time.Second
	lingerWhole  = 30 * time.Second

	lingerGuiltyOctets = 4 << 20
	lingerGuiltyWhole  = 5 * time.Second
)

// linger closes the connection so that the client gets to read what was said:
// an end with octets of its unread would take it away again.
func (s *session) linger() {
	if s.flush() != nil || s.goodbye && s.in.Buffered() == 0 {
		return
	}
	if s.up != nil {
		s.quitUpstream() // others may wait for its place
	}
	half, ok := s.conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	left, whole := lingerOctets, lingerWhole
	if s.guilty() {
		left, whole = lingerGuiltyOctets, lingerGuiltyWhole
	}
	end := time.Now().Add(s.relay.short(whole))
	buf := make([]byte, 4<<10)
	for left > 0 && time.Now().Before(end) && !s.cutOff() {
		s.conn.SetReadDeadline(time.Now().Add(lingerIdle))
		n, err := s.conn.Read(buf)
		if err != nil {
			return
		}
		left -= n
	}
}

// guilty reports whether the session ends for what the client did.
func (s *session) guilty() bool {
	return s.end == endLimit || s.end == endRefused || s.end == endTimeout || s.end == endProxy
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
