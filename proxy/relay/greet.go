package relay

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
	"github.com/mailweir/mailweir/proxy/smtp"
	"github.com/mailweir/mailweir/proxy/upstream"
)

// helo serves HELO and EHLO. The upstream is greeted in the client's words;
// the client hears our name and what both sides can do.
func (s *session) helo(cmd smtp.Command) error {
	if len(cmd.Args) == 0 || bytes.ContainsFunc(cmd.Args, isControl) {
		s.say(needName)
		return nil
	}
	s.endTransaction(chain.Result{Reason: "helo"})
	if s.up != nil && s.group != s.relay.Upstream {
		s.quitUpstream()
	}
	s.group = s.relay.Upstream
	esmtp := cmd.Verb == smtp.EHLO
	if d := s.run.Helo(string(cmd.Args), esmtp); d.Refuses() {
		s.greeted = false
		return s.refuse(d)
	}
	s.hello = append(append(append(s.hello[:0], cmd.Verb.String()...), ' '), cmd.Args...)
	if s.run.Held() {
		return s.heloHere(esmtp)
	}
	reply, err := s.heloUpstream()
	if err != nil {
		return err
	}
	defer s.up.Release()
	s.greeted = reply.Class() == 2
	if s.greeted {
		return s.greet(reply, esmtp)
	}
	s.sayWire(reply)
	s.noGreeting(cmd.Verb, reply.Reply())
	if reply.Code == 421 {
		s.closeUpstream()
		return errEnd
	}
	return nil
}

// greet answers a client that the upstream has greeted.
func (s *session) greet(reply smtp.ServerReply, esmtp bool) error {
	if told, err := s.lastLook(); told || err != nil {
		s.greeted = false
		return err
	}
	s.info.HadEHLO = s.info.HadEHLO || esmtp
	s.offer = s.offered()
	s.sayHello(reply, esmtp)
	return nil
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// heloHere greets a client that will be refused, or whose mail will be
// discarded: no upstream has to hear of it.
func (s *session) heloHere(esmtp bool) error {
	if s.up != nil {
		s.quitUpstream()
	}
	s.greeted, s.offer, s.upOffer = true, &nothing, &nothing
	if esmtp {
		s.info.HadEHLO = true
		s.offer = &ownOffer
	}
	s.sayOffer()
	return nil
}

// sayOffer answers EHLO, or a HELO that no upstream hears of.
func (s *session) sayOffer() {
	var own [2]string
	lines := own[:0]
	if s.info.ESMTP && s.relay.TLS != nil && !s.encrypted() {
		lines = append(lines, "STARTTLS")
	}
	if s.info.ESMTP && s.mayXClient() {
		lines = append(lines, xclientKeyword)
	}
	s.out = s.offer.append(s.out, s.relay.Hostname, lines)
}

// sayHello answers with our name. The upstream's own text stays with HELO.
func (s *session) sayHello(reply smtp.ServerReply, esmtp bool) {
	if esmtp {
		s.sayOffer()
		return
	}
	s.say(filters.Reply{Code: uint16(reply.Code), Text: s.relay.Hostname})
}

// heloUpstream says the client's greeting to the upstream, opening it if need
// be. An error means that the session has ended; any complete reply of class
// 2, 4 or 5 is returned.
func (s *session) heloUpstream() (smtp.ServerReply, error) {
	reply, err := s.tryHelo()
	switch {
	case err == nil:
		return reply, nil
	case s.up == nil:
		return reply, s.notOpened(err)
	}
	return reply, s.lostUpstream("EHLO", err)
}

// tryHelo says the client's greeting to the upstream, opening it if need be,
// and returns its reply of class 2, 4 or 5. If it fails s.up is nil if there is
// no connection.
func (s *session) tryHelo() (smtp.ServerReply, error) {
	if s.up != nil && s.up.Ready() != nil && !s.authed {
		s.closeUpstream()
	}
	for again := len(s.group.Servers) > 1; ; {
		if s.up == nil {
			up, err := s.group.Open(s.ctx, s.info, &s.relay.Timeouts.Upstream)
			if err != nil {
				return smtp.ServerReply{}, err
			}
			s.up = up
		}
		reply, err := s.helloTo()
		if (err != nil || reply.Code == 421) && s.ctx.Err() == nil {
			s.up.Doubt()
		}
		switch {
		case s.authed:
			return reply, err
		case s.wasClosing(reply, err):
		case again && s.wasLost(err):
			again = false // where one of several servers dies, there may be another
		default:
			return reply, err
		}
		s.closeUpstream()
	}
}

// wasLost reports whether a connection has ended before the greeting was
// answered: the client has lost nothing by that yet.
func (s *session) wasLost(err error) bool {
	var fault smtp.Fault
	return err != nil && !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, upstream.ErrStray) &&
		!errors.As(err, &fault) && s.ctx.Err() == nil
}

// wasClosing reports whether a connection that a former session has left was
// closing when it was taken, so that another may do. Silence is no sign of that.
func (s *session) wasClosing(reply smtp.ServerReply, err error) bool {
	return s.up.Reused() && (err != nil || reply.Code == 421) && !errors.Is(err, os.ErrDeadlineExceeded) && s.ctx.Err() == nil
}

// helloTo says the client's greeting on the connection.
func (s *session) helloTo() (smtp.ServerReply, error) {
	if s.up.LMTP() {
		s.up.Line(append([]byte("LHLO "), s.hello[len("EHLO "):]...))
	} else {
		s.up.Line(s.hello)
	}
	if err := s.up.Send(s.relay.Timeouts.Upstream.Other); err != nil {
		return smtp.ServerReply{}, err
	}
	sent := time.Now()
	reply, err := s.up.Reply(s.relay.Timeouts.Upstream.Other)
	s.took(upstream.Greet, sent)
	if err == nil && (reply.Class() == 3 || s.up.Buffered() > 0) {
		err = upstream.ErrStray
	}
	if err != nil || reply.Class() != 2 {
		s.upOffer = &nothing
		return reply, err
	}
	s.upOffer, s.upTx = &nothing, false
	if s.hello[0] == 'E' {
		s.group.Learn(reply.Wire)
		s.upOffer = s.relay.offerOf(reply.Wire, s.group.LMTP)
	}
	return reply, nil
}

// notOpened ends a session for which there is no connection to the upstream.
func (s *session) notOpened(err error) error {
	if refused, ok := errors.AsType[*upstream.RefusedError](err); ok {
		return s.unwelcome(refused)
	}
	s.logUpstream("connect", err)
	r := withID(named(noUpstream, s.relay.Hostname), s.id())
	s.endTransaction(chain.Result{Reply: r, Filter: "upstream", Reason: "upstream_lost"})
	s.say(r)
	return errEnd
}

// offered is what the client is offered before the upstream that has answered
// last. Passwords are not asked for where others can read them.
func (s *session) offered() *offer {
	o := s.upOffer
	if !s.relay.PlainAuth && !s.encrypted() {
		o = o.clear()
	}
	if o == &nothing {
		return o
	}
	for _, r := range s.relay.Routes {
		if r.Upstream != s.group {
			o = s.relay.common(o, r.Upstream)
		}
	}
	return o
}

// errLess is why another upstream connection cannot take over.
var errLess = errors.New("it offers less than what the client was offered")

// needUpstream makes sure that there is an upstream that waits for a command:
// the one of before, or, between transactions, the listener's own, which may
// have to be greeted in the same words once more.
func (s *session) needUpstream() error {
	if s.astray() {
		if s.up != nil {
			s.quitUpstream()
		}
		s.group = s.relay.Upstream
	}
	if s.up != nil {
		err := s.up.Ready()
		if err != nil && (s.upTx || s.authed || len(s.asks) > 0) {
			return s.lostUpstream("command", err)
		}
		if err := s.forgetLeft(); err != nil || s.up != nil {
			return err
		}
	}
	if s.authed {
		return s.noTakeOver(errors.New("the client has authenticated to another connection"))
	}
	reply, err := s.heloUpstream()
	if err != nil {
		return err
	}
	defer s.up.Release()
	if reply.Class() != 2 {
		return s.noTakeOver(fmt.Errorf("reply to HELO or EHLO: %s", reply.Reply()))
	}
	if !s.upOffer.covers(s.offer) {
		return s.noTakeOver(errLess)
	}
	return nil
}

// forgetLeft drops an upstream that has closed, where the client loses nothing
// by that: no transaction is open.
func (s *session) forgetLeft() error {
	if s.up == nil || s.authed {
		return nil
	}
	err := s.up.Ready()
	if err == nil {
		return nil
	}
	if !s.upstreamLeft(err) {
		return s.lostUpstream("command", err)
	}
	s.closeUpstream()
	return nil
}

// upstreamLeft reports whether an idle upstream has only closed, with or
// without a 421.
func (s *session) upstreamLeft(err error) bool {
	if !errors.Is(err, upstream.ErrStray) {
		return true
	}
	_, ok := s.lastWords()
	return ok
}

// noTakeOver ends a session whose upstream cannot be replaced.
func (s *session) noTakeOver(err error) error {
	s.logUpstream("reconnect", err)
	r := withID(named(upstreamLost, s.relay.Hostname), s.id())
	s.endTransaction(chain.Result{Reply: r, Filter: "upstream", Reason: "upstream_lost"})
	s.say(r)
	return errEnd
}
