package milter

import (
	"cmp"
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	lib "github.com/d--j/go-milter"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
	"github.com/mailweir/mailweir/proxy/internal/door"
	"github.com/mailweir/mailweir/proxy/smtp"
)

// session is one SMTP session of the MTA, which is one connection of it to us.
// The library calls its methods one at a time.
type session struct {
	milter  *Milter
	guard   *guard
	agreed  *terms // with the MTA of this connection
	terms   *terms // of this SMTP session
	info    *filters.Session
	run     *chain.Run
	arena   smtp.Arena
	content content

	connected bool // the MTA has told of the client

	broken bool           // a panic: nothing more is asked of the chain
	over   *lib.Response  // what ended the message, until the next one
	owed   chain.Decision // what the MTA did not wait for at its own stage

	busy atomic.Bool  // a message is under way, or an answer
	last atomic.Int64 // when the latest event ended, in Unix nanoseconds

	mu    sync.Mutex
	stop  context.CancelFunc // of what the chain does
	isCut bool
}

var _ lib.Milter = (*session)(nil)

// NewConnection begins a session. The library calls it at first, and an MTA
// may use its connection for another client.
func (s *session) NewConnection(lib.Modifier) error {
	s.end()
	s.begin()
	return nil
}

func (s *session) begin() {
	t := s.terms
	s.info = &filters.Session{ID: door.NewID(), Listener: t.Name, Hostname: t.Hostname}
	ctx, stop := context.WithCancel(s.milter.ctx)
	s.mu.Lock()
	s.stop = stop
	if s.isCut {
		stop()
	}
	s.mu.Unlock()
	s.run = t.Chain.Start(ctx, s.info)
	s.connected, s.broken, s.over, s.owed, s.content = false, false, nil, chain.Decision{}, content{}
	s.last.Store(time.Now().UnixNano())
}

// connect notes that a client has come. The session begins anew if there are
// other settings by now: its connection may have waited long for that client.
func (s *session) connect() {
	if s.connected {
		return
	}
	if t := s.milter.renew(s); t != s.terms {
		s.end()
		s.milter.leave(s.terms)
		s.terms = t
		s.begin()
	}
	s.connected = true
	s.count()
}

// end ends a session that has begun.
func (s *session) end() {
	if s.run == nil {
		return
	}
	s.countEnd()
	defer func() {
		if p := recover(); p != nil {
			s.logPanic("close", p)
		}
	}()
	s.finish(chain.Result{Reason: cmp.Or(s.guard.why(), "closed")})
	s.stop()
	s.run.Close()
	s.run = nil
}

// Cleanup ends the session: the connection is over.
func (s *session) Cleanup(lib.Modifier) { s.end() }

// cut stops what the chain does, from any goroutine.
func (s *session) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.isCut = true
	if s.stop != nil {
		s.stop()
	}
}

// idle reports, to any goroutine, whether nothing has been under way for so
// long.
func (s *session) idle(long time.Duration) bool {
	return !s.busy.Load() && time.Since(time.Unix(0, s.last.Load())) >= long
}

// answer asks a question of the chain and gives the MTA a response, whatever
// happens. An error would end the connection and leave the rest of the SMTP
// session to the MTA's default action.
func (s *session) answer(m lib.Modifier, at filters.Stage, question func() chain.Decision) (resp *lib.Response, _ error) {
	s.busy.Store(true)
	defer s.guard.watch()()
	defer func() {
		if p := recover(); p != nil {
			s.logPanic(at.String(), p)
			s.broken, resp = true, refusal(s.internalError())
		}
		s.last.Store(time.Now().UnixNano())
		s.busy.Store(s.run.Transaction() != nil)
	}()
	if at == filters.Mail && !s.broken {
		s.reset("mail") // no Abort has, if this finds a transaction
	}
	if resp := s.settled(at); resp != nil {
		return resp, nil
	}
	d := s.owed
	if d.Action == filters.Continue {
		d = question()
	}
	if d.Action != filters.Continue && !heard(m.Protocol(), at) {
		s.owed = d
		return lib.RespContinue, nil // which the library does not send
	}
	return s.respond(at, d), nil
}

// settled returns the response to events that the chain is not asked about, or
// nil.
func (s *session) settled(at filters.Stage) *lib.Response {
	ofMessage := at >= filters.Rcpt && at <= filters.EOM
	switch {
	case s.broken:
		return refusal(s.internalError())
	case !ofMessage:
		return nil
	case s.over != nil:
		return s.over
	case s.run.Transaction() == nil && s.owed.Action == filters.Continue:
		s.log("the MTA is out of step", "stage", at.String())
		return refusal(outOfStep)
	}
	return nil
}

// finish ends the transaction, if there is one, and logs it.
func (s *session) finish(res chain.Result) {
	s.content = content{}
	s.run.Done(res)
}

// Abort ends the transaction: by RSET, QUIT, another greeting, or a client that
// went away. Postfix sends it after each message too.
func (s *session) Abort(lib.Modifier) error {
	defer func() {
		if p := recover(); p != nil {
			s.logPanic("abort", p)
			s.broken = true
		}
	}()
	s.reset("reset")
	return nil
}

// reset gets ready for another message.
func (s *session) reset(reason string) {
	s.over, s.owed = nil, chain.Decision{}
	s.finish(chain.Result{Reason: reason})
	s.busy.Store(false)
}

// id is what a refused client can quote: it stands in the log too.
func (s *session) id() string {
	if t := s.run.Transaction(); t != nil {
		return t.ID()
	}
	return s.info.ID
}

func (s *session) log(msg string, args ...any) {
	s.terms.Log.With("id", s.id(), "listener", s.info.Listener, "client", s.info.Client.String()).Warn(msg, args...)
}

func (s *session) logPanic(where string, p any) {
	s.terms.Log.Error("panic in a session", "id", s.info.ID, "listener", s.info.Listener, "stage", where,
		"error", fmt.Sprint(p), "stack", string(debug.Stack()))
}
