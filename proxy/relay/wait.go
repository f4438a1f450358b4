package relay

import (
	"errors"
	"os"
	"time"

	"github.com/mailweir/mailweir/proxy/smtp"
)

// source is what the session's reader reads from: the client, after all that
// is owed has been sent. Replies thus wait until the input is drained.
type source struct{ *session }

var _ smtp.Sparing = source{}

// Read reads from the client.
func (c source) Read(p []byte) (int, error) {
	s := c.session
	if s.polling {
		n, err := s.conn.Read(p)
		s.traffic.received += n
		return n, err
	}
	if err := s.beforeRead(); err != nil {
		return 0, err
	}
	n, err := s.conn.Read(p)
	s.traffic.received += n
	return n, s.afterRead(err)
}

// ReadSparing implements smtp.Sparing: a session that waits in clear has no
// buffer.
func (c source) ReadSparing(l smtp.Lender) (int, error) {
	s := c.session
	if s.polling || s.layer != nil {
		return c.Read(l.Lend())
	}
	if err := s.beforeRead(); err != nil {
		return 0, err
	}
	n, err := s.socket.ReadSparing(l)
	s.traffic.received += n
	return n, s.afterRead(err)
}

// beforeRead sends what is owed, and sets the deadline.
func (s *session) beforeRead() error {
	if err := s.settle(); err != nil {
		return err
	}
	if len(s.out) > 0 {
		if err := s.flush(); err != nil {
			return err
		}
		s.since = time.Time{} // the time that the upstream took is not the client's
	}
	return s.beginWait()
}

func (s *session) afterRead(err error) error {
	s.endWait()
	if err != nil && s.isDraining() && errors.Is(err, os.ErrDeadlineExceeded) {
		return errDraining
	}
	return err
}

// expect gives the client that long for what it sends next, from when it is waited
// for, and no longer than haste if stress begins meanwhile.
func (s *session) expect(patience, haste time.Duration) {
	s.patience, s.haste, s.since = patience, haste, time.Time{}
}

// beginWait sets the deadline of a read, unless the service is ending and this
// read would wait for nothing that is under way.
func (s *session) beginWait() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reading, s.waiting = true, !s.tx.open
	if s.isCut || s.draining && s.waiting {
		return errDraining
	}
	if s.hearing != nil && s.hearing.Err() != nil {
		return s.conn.SetReadDeadline(longAgo)
	}
	if s.since.IsZero() {
		s.since = time.Now()
	}
	if s.hurried {
		s.cutShort(time.Now())
		s.hurried = false
	}
	return s.conn.SetReadDeadline(s.since.Add(s.patience))
}

// longAgo is the deadline that ends a read which waits.
var longAgo = time.Unix(1, 0)

func (s *session) endWait() {
	s.mu.Lock()
	s.reading, s.waiting = false, false
	s.mu.Unlock()
}

func (s *session) isDraining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}

// drain makes an idle session end now, another one after its transaction. It
// may be called from any goroutine.
func (s *session) drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = true
	if s.waiting {
		s.conn.SetReadDeadline(longAgo)
	}
}

// lastWrite bounds what is said to a client whose session was cut.
const lastWrite = time.Second

// cut ends the session whatever it does. It may be called from any goroutine.
func (s *session) cut() {
	s.mu.Lock()
	s.draining, s.isCut = true, true
	s.conn.SetReadDeadline(longAgo)
	s.socket.SetWriteTimeout(min(lastWrite, s.relay.Timeouts.Write))
	s.mu.Unlock()
	s.stop()
}
