package relay

import (
	"errors"

	"github.com/mailweir/mailweir/proxy/smtp"
)

// auth carries an AUTH exchange (RFC 4954) without looking into it. Nothing of
// it is logged or shown to filters.
func (s *session) auth(cmd smtp.Command) error {
	if d := s.run.Command("AUTH", ""); d.Action != 0 {
		return s.refuse(d)
	}
	switch {
	case !s.greeted:
		s.say(helloFirst)
		return nil
	case !s.offer.has("AUTH"):
		s.say(noSuchVerb)
		return nil
	case s.tx.open || s.authed:
		s.say(badSequence)
		return nil
	}
	if err := s.needUpstream(); err != nil {
		return err
	}
	s.up.Command("AUTH", cmd.Args)
	for {
		reply, err := s.authStep()
		if err != nil {
			return err
		}
		if reply.Code != 334 {
			s.authed = reply.Code == 235
			s.up.Release()
			return nil
		}
		s.up.Release()
		if told, err := s.authLine(); told || err != nil {
			return err
		}
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
func (s *session) authLine() (told bool, err error) {
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
	s.up.Line(line)
	return false, nil
}
