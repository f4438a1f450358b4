package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
	"github.com/mailweir/mailweir/proxy/internal/door"
	"github.com/mailweir/mailweir/proxy/internal/peek"
	"github.com/mailweir/mailweir/proxy/smtp"
	"github.com/mailweir/mailweir/proxy/upstream"
)

// session is one client's connection, served by one goroutine in lock step: it
// reads what the client has sent, passes it on as a group, reads the replies
// and writes them back.
type session struct {
	relay   *terms
	conn    net.Conn
	socket  *peek.Conn  // conn, or what is below its TLS
	layer   *peek.Layer // between them, nil without TLS
	in      *smtp.Reader
	out     []byte // replies not written yet
	info    *filters.Session
	counted netip.Prefix  // whose session the limiter takes it for
	told    *smtp.XClient // by XCLIENT, of a client whose address is yet to come; nil for nothing
	run     *chain.Run
	ctx     context.Context
	stop    context.CancelFunc

	up      *upstream.Conn  // nil while there is none
	upTx    bool            // it is inside of a transaction
	upOdd   bool            // it was told what is only passed on: nobody knows what it makes of that
	group   *upstream.Group // that it is of, or will be
	upOffer *offer          // the upstream's, by its last reply to EHLO
	hello   []byte          // the client's HELO or EHLO, to say again to another upstream
	greeted bool            // a HELO or EHLO was answered with 250
	authed  bool            // AUTH succeeded: no other upstream can take over
	goodbye bool            // the client said QUIT: it sends no more
	offer   *offer          // what the client was offered

	conduct *conduct // nil if the chain does not ask about it

	asks   []ask // commands whose replies are outstanding
	tx     transaction
	errors int // since the last message was delivered
	said   int // commands, of that time too
	mails  int // transactions that were begun
	rcpts  int // recipients that were named
	arena  smtp.Arena

	patience time.Duration // with the client, for what it owes next
	haste    time.Duration // the same, under stress
	since    time.Time     // when it had its answers; zero until what it owes is waited for

	polling bool // reads only take what is there
	traffic traffic
	end     string // how it ends; "" while that is not known

	mu       sync.Mutex      // guards what drain and cut look at
	reading  bool            // waits for the client
	waiting  bool            // the same, for a command, outside of a transaction
	hearing  context.Context // of a Listen under way
	draining bool
	hurried  bool // since it last began to wait
	isCut    bool
}

// transaction is the relay's side of a mail transaction.
type transaction struct {
	open      bool
	local     bool            // the upstream does not know of it
	deferred  bool            // the upstream hears of it with the first recipient
	group     *upstream.Group // which that was, if it is deferred
	smtputf8  bool
	binary    bool // BODY=BINARYMIME
	chunks    bool // a BDAT was seen
	goAhead   bool // the upstream said 354
	answer    int  // where in session.out its last reply begins
	asked     int  // recipients that the client named
	accepted  int  // recipients that the upstream accepted
	pending   int  // recipients whose replies are outstanding
	rewritten int  // recipients of an edited envelope, 0 if it was not edited
	over      int  // recipients beyond what one transaction can have
	paths     []filters.Path
	used      int // of paths

	content content
	pace    pace
	text    smtp.Text
	chunk   smtp.ChunkText
	fault   smtp.Fault        // the first in the message
	early   *smtp.ServerReply // with which the upstream cut it short
	refusal filters.Reply     // the upstream's, of DATA, with which the transaction may go on
}

// How a session ends. The client has been told, or cannot be.
var (
	errHandshake = errors.New("no TLS")
	errEnd       = errors.New("session ended")
	errDraining  = errors.New("draining")
	errGone      = errors.New("the client takes no replies")
)

func newSession(r *terms, conn net.Conn, client netip.AddrPort, counted netip.Prefix) *session {
	socket := peek.New(conn)
	socket.SetWriteTimeout(r.short(r.Timeouts.Write))
	s := &session{relay: r, conn: socket, socket: socket, counted: counted, offer: &nothing, upOffer: &nothing, group: r.Upstream}
	s.info = &filters.Session{
		ID:       door.NewID(),
		Listener: r.Name,
		Hostname: r.Hostname,
		Client:   client,
		Local:    door.Addr(conn.LocalAddr()),
		Load:     r.Limiter.load(),
	}
	if r.wants.Has(filters.Conduct) {
		s.conduct = &conduct{}
	}
	s.in = smtp.NewReader(source{s})
	s.ctx, s.stop = context.WithCancel(context.Background()) // whoever ends the relay cuts each session
	return s
}

// serve runs the session to its end. A panic ends this session only.
func (s *session) serve() {
	s.relay.tally.begin()
	defer s.close()
	defer func() {
		if p := recover(); p != nil {
			s.endsBy(endPanic)
			s.log(slog.LevelError, "panic in a session", "error", fmt.Sprint(p), "stack", string(debug.Stack()))
			s.closeUpstream() // whatever it was in the middle of
			s.say(withID(internalError, s.info.ID))
			s.flush()
		}
	}()
	if err := s.introduce(); err != nil {
		s.endsBy(s.endOf(err))
		return
	}
	err := s.begin()
	for err == nil {
		err = s.next()
	}
	s.farewell(err)
}

// begin asks the chain about the client, and greets it.
func (s *session) begin() error {
	s.run = s.relay.Chain.Start(s.ctx, s.info)
	if d := s.connect(); d.Refuses() {
		s.sayDecision(d)
		s.endsBy(endRefused)
		return errEnd
	}
	s.out = append(s.out, "220 "...)
	s.out = append(s.out, s.relay.Hostname...)
	s.out = append(s.out, " ESMTP\r\n"...)
	return nil
}

// next reads and serves one command.
func (s *session) next() error {
	s.in.Release()
	if len(s.out) > maxQueued {
		if err := s.flush(); err != nil {
			return err
		}
	}
	s.expect(s.relay.short(s.relay.Timeouts.Command), s.relay.Stress.Command)
	line, err := s.line()
	fault, bad := errors.AsType[smtp.Fault](err)
	switch {
	case bad:
		if err := s.badLine(fault, line); err != nil {
			return err
		}
	case err != nil:
		return err
	default:
		if err := s.command(line); err != nil {
			return err
		}
	}
	s.said++
	switch {
	case s.errors >= s.relay.MaxErrors:
		return s.endAt("too_many_errors", tooManyErrors)
	case s.relay.MaxCommands > 0 && s.said >= s.relay.MaxCommands:
		return s.endAt("too_many_commands", tooManyCommands)
	}
	return nil
}

// maxQueued bounds what is kept for a client that sends on without listening.
const maxQueued = 16 << 10

// maxAuthLine is the longest line of an AUTH exchange (RFC 4954 section 4).
const maxAuthLine = 12288

func (s *session) badLine(fault smtp.Fault, octets []byte) error {
	if fault == smtp.BareLF {
		if told, err := s.breach(filters.BareLF, octets); told || err != nil {
			return err
		}
	}
	s.answer(with(badLine, string(fault)))
	if fault == smtp.TooMuchJunk {
		return s.endAt("line_without_end", tooManyErrors)
	}
	return nil
}

// settle sends the group of commands that is queued, reads its replies, and
// queues them for the client.
func (s *session) settle() error {
	if len(s.asks) == 0 {
		return nil
	}
	return s.settleGroup()
}

// flush writes what is queued for the client.
func (s *session) flush() error {
	if len(s.out) == 0 {
		return nil
	}
	n, err := s.conn.Write(s.out)
	s.traffic.sent += n
	if s.out = s.out[:0]; cap(s.out) > maxKept {
		s.out = nil
	}
	if err != nil {
		return fmt.Errorf("%w: %v", errGone, err)
	}
	return nil
}

// maxKept is the greatest buffer that an idle session keeps, in octets.
const maxKept = 1 << 10

// say queues a reply of ours. Nothing may be outstanding.
func (s *session) say(r filters.Reply) {
	if r.Code >= 400 && r != otherGroup && !s.overshoots(r) { // that is how many recipients there are, and nobody's error
		s.errors++
	}
	s.out = smtp.AppendReply(s.out, named(r, s.relay.Hostname))
}

func (s *session) sayDecision(d chain.Decision) { s.say(d.Reply) }

// answer queues a reply of ours behind those that are outstanding.
func (s *session) answer(r filters.Reply) {
	if len(s.asks) == 0 {
		s.say(r)
		return
	}
	s.asks = append(s.asks, ask{local: true, reply: r})
}

// refuseSession says why the session ends now, and logs it.
func (s *session) refuseSession(filter, reason string, r filters.Reply) {
	s.refuseAt(filters.Command, filter, reason, r)
}

func (s *session) refuseAt(stage filters.Stage, filter, reason string, r filters.Reply) {
	r = withID(named(r, s.relay.Hostname), s.id())
	s.countRefusal(filter, reason)
	s.say(r)
	s.log(slog.LevelInfo, "refused", "stage", stage.String(), "filter", filter, "reason", reason,
		"action", filters.Hangup.String(), "reply", r.String())
}

// id is what a refused client can quote: it stands in the log too.
func (s *session) id() string {
	if s.run != nil && s.run.Transaction() != nil {
		return s.run.Transaction().ID()
	}
	return s.info.ID
}

func (s *session) log(level slog.Level, msg string, args ...any) {
	log := s.relay.Log.With("id", s.id(), "listener", s.info.Listener, "client", s.info.Client.String())
	if s.info.Via.IsValid() {
		log = log.With("via", s.info.Via.String())
	}
	log.Log(context.Background(), level, msg, args...)
}
