package relay

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
	"github.com/mailweir/mailweir/proxy/smtp"
	"github.com/mailweir/mailweir/proxy/upstream"
)

// ask is a command whose reply is outstanding: from the upstream, or local and
// waiting for its turn.
type ask struct {
	verb  smtp.Verb
	local bool
	reply filters.Reply // if local
	path  *filters.Path // of RCPT
}

// Bounds of a group. A larger one is sent in parts, so that neither side has
// to hold the other's unread replies.
const (
	maxGroup       = 100
	maxGroupOctets = 8 << 10
)

// ask queues a command for the upstream, as part of a group if the upstream
// knows PIPELINING.
func (s *session) ask(verb smtp.Verb, path *filters.Path) error {
	s.asks = append(s.asks, ask{verb: verb, path: path})
	if len(s.asks) >= maxGroup || s.up.Queued() >= maxGroupOctets || !s.upOffer.has("PIPELINING") {
		return s.settle()
	}
	return nil
}

// settleGroup sends the queued commands in one write and relays their replies
// in the order of the client's commands.
func (s *session) settleGroup() error {
	asks := s.asks
	defer func() {
		clear(s.asks)
		if s.asks = s.asks[:0]; cap(s.asks) > 16 {
			s.asks = nil
		}
	}()
	if err := s.sendQueued(); err != nil {
		return err
	}
	sent := time.Now()
	for _, a := range asks {
		if a.local {
			s.say(a.reply)
			continue
		}
		reply, err := s.up.Reply(s.waitFor(a.verb))
		if err != nil {
			return s.lostUpstream(a.verb.String(), err)
		}
		sent = s.took(stepOf(a.verb), sent)
		if err := s.relayReply(a, reply); err != nil {
			return err
		}
	}
	s.up.Release()
	return nil
}

// sendQueued sends what is queued, if the upstream waits for it.
func (s *session) sendQueued() error {
	if err := s.up.Send(s.relay.Timeouts.Upstream.Other); err != nil {
		return s.lostUpstream("command", err)
	}
	return nil
}

func (s *session) waitFor(verb smtp.Verb) time.Duration {
	t := &s.relay.Timeouts.Upstream
	switch verb {
	case smtp.MAIL:
		return t.Mail
	case smtp.RCPT:
		return t.Rcpt
	case smtp.DATA:
		return t.Data
	}
	return t.Other
}

// relayReply passes the upstream's reply to a command on and takes note of
// what it means.
func (s *session) relayReply(a ask, reply smtp.ServerReply) error {
	if reply.Class() == 3 && !(a.verb == smtp.DATA && reply.Code == 354 || a.verb == smtp.AUTH && reply.Code == 334) {
		// It waits for something that we would take for commands.
		return s.lostUpstream(a.verb.String(), fmt.Errorf("%w: reply %s", upstream.ErrOutOfStep, reply.Reply()))
	}
	if a.verb == smtp.DATA && reply.Class() == 2 {
		return s.lostUpstream("DATA", fmt.Errorf("%w: reply %s", upstream.ErrOutOfStep, reply.Reply()))
	}
	s.tx.answer = len(s.out)
	s.sayWire(reply)
	s.note(a, reply)
	if reply.Code == 421 {
		res := chain.Result{Reply: reply.Reply(), Upstream: reply.Reply().String()}
		if a.verb == smtp.RCPT && s.tx.accepted == 0 {
			res = chain.Result{Reason: "upstream_lost"} // that refusal has been logged
		}
		s.endTransaction(res)
		s.closeUpstream()
		return errEnd
	}
	return nil
}

// sayWire queues a reply of the upstream, as it is.
func (s *session) sayWire(reply smtp.ServerReply) {
	if reply.Code >= 400 && (reply.Code != 452 || !s.overshoots(reply.Reply())) {
		s.errors++
	}
	s.out = append(s.out, reply.Wire...)
}

// note keeps the transaction in step with the upstream's replies.
func (s *session) note(a ask, reply smtp.ServerReply) {
	positive := reply.Class() == 2
	switch a.verb {
	case smtp.AUTH:
		s.authed = s.authed || positive // in whatever words
	case smtp.RSET:
		s.upTx = s.upTx && !positive
	case smtp.MAIL:
		s.upTx = s.upTx || positive
		if !positive {
			s.run.Refused(nil, reply.Reply())
			s.tx.open = false
		}
	case smtp.DATA:
		s.tx.goAhead = reply.Code == 354
		s.tx.refusal = filters.Reply{}
		if reply.Class() >= 4 && s.tx.accepted > 0 {
			s.tx.refusal = reply.Reply()
		}
	case smtp.RCPT:
		s.tx.pending--
		s.learnRcpt(a.path, reply)
		switch {
		case positive:
			s.tx.accepted++
		case s.tx.open: // else it is refused for want of a sender, which is logged
			s.run.Refused(a.path, reply.Reply())
		}
	}
}

// lostUpstream tells the client that the upstream cannot be talked to, and
// ends the session. What the upstream has said on its own account goes first.
func (s *session) lostUpstream(during string, err error) error {
	s.logUpstream(during, err)
	r := withID(named(upstreamLost, s.relay.Hostname), s.id())
	var fault smtp.Fault
	switch {
	case errors.Is(err, upstream.ErrStray):
		if last, ok := s.lastWords(); ok {
			s.endTransaction(chain.Result{Reply: last.Reply(), Upstream: last.Reply().String()})
			s.sayWire(last)
			s.closeUpstream()
			return errEnd
		}
		r = withID(named(outOfStep, s.relay.Hostname), s.id())
	case errors.As(err, &fault), errors.Is(err, upstream.ErrOutOfStep):
		r = withID(named(outOfStep, s.relay.Hostname), s.id())
	}
	s.endTransaction(chain.Result{Reply: r, Filter: "upstream", Reason: "upstream_lost"})
	s.closeUpstream()
	s.say(r)
	return errEnd
}

// lastWords reads a 421 that the upstream has sent unasked.
func (s *session) lastWords() (smtp.ServerReply, bool) {
	reply, err := s.up.Reply(time.Second)
	return reply, err == nil && reply.Code == 421 && s.up.Buffered() == 0
}

// closeUpstream drops the upstream as it is.
func (s *session) closeUpstream() {
	if s.up != nil {
		s.up.Close()
		s.dropUpstream()
	}
}

func (s *session) dropUpstream() { s.up, s.upTx, s.upOdd = nil, false, false }

// quitUpstream leaves the upstream, which waits for a command: to a later session
// if that is allowed, or with QUIT.
func (s *session) quitUpstream() {
	if s.mayKeep() {
		s.up.Keep()
	} else {
		s.up.Quit()
	}
	s.dropUpstream()
}

// mayKeep reports whether another session may have the upstream's connection:
// one on which nobody has logged in, and no transaction is under way.
func (s *session) mayKeep() bool { return s.group.Reuse && !s.authed && !s.upTx && !s.upOdd }

// logUpstream logs what went wrong with the upstream. One that does not take
// from us who the client is, is for the administrator to set right.
func (s *session) logUpstream(during string, err error) {
	at, level := s.group.Name, slog.LevelWarn
	if s.up != nil {
		at = s.up.Server()
	}
	if _, ok := errors.AsType[*upstream.IdentityError](err); ok {
		level = slog.LevelError
	}
	s.log(level, "upstream failed", "upstream", at, "during", during, "error", err.Error())
}

// endTransaction closes and logs the transaction, if there is one.
func (s *session) endTransaction(res chain.Result) {
	if r := s.tx.refusal; r.Code != 0 && res.Reply.Code == 0 {
		res = chain.Result{Reply: r, Upstream: r.String()}
	}
	s.tx.open, s.tx.chunks, s.tx.refusal = false, false, filters.Reply{}
	s.tx.content.close()
	if s.run.Transaction() != nil {
		s.run.Done(res)
	}
	s.countTraffic()
}
