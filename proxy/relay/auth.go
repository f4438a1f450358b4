package relay

import (
	"errors"
	"log/slog"

	"github.com/mailweir/mailweir/proxy/sasl"
	"github.com/mailweir/mailweir/proxy/smtp"
)

// auth carries an AUTH exchange (RFC 4954). Nothing of it is logged or shown to
// filters but who logs in, once the upstream has agreed.
func (s *session) auth(cmd smtp.Command) error {
	if d := s.run.Command("AUTH", ""); d.Action != 0 {
		return s.refuse(d)
	}
	switch {
	case !s.greeted:
		s.say(helloFirst)
		return nil
	case !s.offer.has("AUTH") && s.upOffer.has("AUTH") && !s.encrypted():
		s.say(authNeedsTLS)
		return nil
	case !s.offer.has("AUTH"):
		s.say(noSuchVerb)
		return nil
	case s.tx.open || s.authed:
		s.say(badSequence)
		return nil
	}
	if s.guessesOn() {
		s.refuseSession(limits, "auth_failures", tooManyFails)
		return errEnd
	}
	if err := s.needUpstream(); err != nil {
		return err
	}
	s.up.Command("AUTH", cmd.Args)
	var who sasl.Exchange
	who.Begin(cmd.Args)
	for {
		reply, err := s.authStep()
		if err != nil {
			return err
		}
		if reply.Code != 334 {
			s.noteAuth(&who, reply)
			s.up.Release()
			return nil
		}
		s.up.Release()
		if told, err := s.authLine(&who); told || err != nil {
			return err
		}
	}
}

// guessesOn reports whether the client has failed to log in too often.
func (s *session) guessesOn() bool {
	return s.relay.Failures != nil && s.relay.Failures.Over(s.info.Client.Addr(), s.relay.MaxFailures, s.relay.FailWindow)
}

// noteAuth keeps who has logged in, or that somebody has failed to (RFC 4954
// section 6): other refusals are not about what the client knows.
func (s *session) noteAuth(who *sasl.Exchange, reply smtp.ServerReply) {
	switch {
	case reply.Class() == 2: // in whatever words
		s.authed = true
		s.info.AuthType, s.info.AuthUser = who.Mechanism(), who.User()
	case reply.Code == 535 && s.relay.Failures != nil:
		n := s.relay.Failures.Add(s.info.Client.Addr(), s.relay.FailWindow)
		s.log(slog.LevelInfo, "log-in failed", "mechanism", who.Mechanism(), "failures", n)
	}
}

// authStep sends what is queued and relays the reply.
func (s *session) authStep() (smtp.ServerReply, error) {
	if err := s.sendQueued(); err != nil {
		return smtp.ServerReply{}, err
	}
	reply, err := s.up.Reply(s.relay.Timeouts.Upstream.Other)
	if err != nil {
		return reply, s.lostUpstream("AUTH", err)
	}
	return reply, s.relayReply(ask{verb: smtp.AUTH}, reply)
}

// authLine queues the client's next line for the upstream. A line that cannot
// be passed on cancels the exchange, on both sides. told reports that the
// client was refused instead.
func (s *session) authLine(who *sasl.Exchange) (told bool, err error) {
	line, err := s.in.ReadLine(maxAuthLine)
	fault, bad := errors.AsType[smtp.Fault](err)
	if err != nil && !bad {
		s.closeUpstream() // it would take QUIT for a part of the exchange
		return false, err
	}
	if told, err := s.watchAuth(fault); told || err != nil {
		s.closeUpstream()
		return told, err
	}
	if bad {
		line = []byte("*")
	}
	who.Line(line)
	s.up.Line(line)
	return false, nil
}
