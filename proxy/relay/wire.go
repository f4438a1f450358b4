package relay

import (
	"bytes"
	"context"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
)

// connect asks the chain about the client. Filters that need to may hear what
// it says before it is greeted.
func (s *session) connect() chain.Decision {
	if s.relay.hears {
		s.info.Wire = wire{s}
		defer func() { s.info.Wire = nil }()
	}
	return s.run.Connect()
}

// wire is the client's connection before the greeting.
type wire struct{ *session }

var _ filters.Wire = wire{}

// Tease implements filters.Wire.
func (w wire) Tease(text string) error {
	s := w.session
	s.out = append(append(s.out, "220-"...), s.relay.Hostname...)
	s.out = append(append(append(s.out, ' '), text...), '\r', '\n')
	return s.flush()
}

// Listen implements filters.Wire. While it waits the session holds no more
// than while it waits for a command.
func (w wire) Listen(ctx context.Context, wait time.Duration) []byte {
	s := w.session
	defer s.hear(ctx)()
	s.expect(wait, s.relay.Stress.Command)
	said, _ := s.in.First() // what is wrong with the client shows at its first command too
	return bytes.Clone(shown(said))
}

// hear makes reads end with ctx, until end is called.
func (s *session) hear(ctx context.Context) (end func()) {
	s.mu.Lock()
	s.hearing = ctx
	s.mu.Unlock()
	stop := context.AfterFunc(ctx, s.stopHearing)
	return func() {
		stop()
		s.mu.Lock()
		s.hearing = nil
		s.mu.Unlock()
	}
}

// stopHearing ends a read whose context has ended, if it is still under way.
func (s *session) stopHearing() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hearing != nil && s.hearing.Err() != nil {
		s.conn.SetReadDeadline(longAgo)
	}
}
