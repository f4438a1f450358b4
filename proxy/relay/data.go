package relay

import (
	"errors"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
	"github.com/mailweir/mailweir/proxy/smtp"
	"github.com/mailweir/mailweir/proxy/upstream"
)

// data serves DATA: the command, and if the upstream says 354 the text.
func (s *session) data(cmd smtp.Command) error {
	if len(cmd.Args) > 0 {
		s.answer(noArgs)
		return nil
	}
	if s.tx.chunks {
		s.answer(badSequence)
		return nil
	}
	if ok, err := s.mayBegin(); !ok {
		return err
	}
	if s.tx.local || s.relay.hold {
		if told, err := s.lastLook(); told || err != nil {
			return err
		}
		s.answer(goAhead)
		return s.text()
	}
	s.up.Command("DATA", nil)
	s.asks = append(s.asks, ask{verb: smtp.DATA})
	if err := s.settle(); err != nil {
		return err
	}
	switch {
	case !s.tx.goAhead:
		return nil
	case !s.tx.open:
		return s.lostUpstream("DATA", errors.New("reply 354 without a sender"))
	}
	if told, err := s.lookBefore354(); told || err != nil {
		return err
	}
	return s.text()
}

// mayBegin asks whether content may follow now. If not, the answer is queued.
func (s *session) mayBegin() (bool, error) {
	if s.relay.wants.Has(filters.Data) || s.relay.hold {
		// Whoever decides now is to know which recipients were accepted.
		if err := s.settle(); err != nil {
			return false, err
		}
	}
	switch {
	case !s.tx.open:
		s.answer(s.outOfPlace(needMail))
		return false, nil
	case s.tx.asked == 0:
		s.answer(needRcpt)
		return false, nil
	case s.tx.accepted+s.tx.pending == 0:
		s.answer(noRcpt)
		return false, nil
	}
	d := s.run.Data()
	if d.Refuses() {
		return false, s.refuse(d)
	}
	if d.Action == filters.Discard && !s.tx.local {
		if err := s.leaveUpstream(); err != nil {
			return false, err
		}
	}
	return true, nil
}

// maxSwallowed bounds what is read of a message that is refused already.
const maxSwallowed = 256 << 20

// text passes the text after 354 on, and ends the transaction. Its final dot
// goes upstream only after the chain has agreed.
func (s *session) text() error {
	s.tx.content.begin(s.run, s.relay, s.room())
	s.tx.text = smtp.Text{FixLines: s.relay.FixLines, FixNUL: s.relay.FixNUL}
	swallowed := 0
	for {
		p, err := s.nextPiece()
		if err != nil {
			return s.lostClient(err)
		}
		p.Content(s.tx.content.write)
		if p.Fault != "" && s.tx.fault == "" {
			s.tx.fault = p.Fault
		}
		if s.streaming() && s.tx.refused() {
			s.closeUpstream() // there is no other way back from inside a text
		}
		switch {
		case p.End:
			return s.endText(p)
		case s.passing():
			if err := s.passText(p.Wire); err != nil {
				return err
			}
		case s.tx.refused() || s.tx.local:
			swallowed += p.Used
		}
		s.in.Discard(p.Used)
		if swallowed > maxSwallowed {
			return s.tooLong()
		}
	}
}

// refused reports whether the message cannot be accepted any more.
func (t *transaction) refused() bool {
	return t.fault != "" || t.early != nil || t.content.settled()
}

// streaming reports whether the upstream is inside of this content.
func (s *session) streaming() bool { return s.up != nil && !s.tx.local && s.tx.content.spool == nil }

// passing reports whether the content still goes to the upstream.
func (s *session) passing() bool { return s.streaming() && !s.tx.refused() }

// nextPiece waits for the next piece of text.
func (s *session) nextPiece() (smtp.Piece, error) {
	for {
		if s.in.Buffered() > 0 {
			if p := s.tx.text.Next(s.in.Pending()); p.Used > 0 {
				return p, nil
			}
		}
		if err := s.fill(); err != nil {
			return smtp.Piece{}, err
		}
	}
}

// fill reads more content of the client.
func (s *session) fill() error {
	return s.paced(s.in.Fill)
}

// passText sends a piece of content upstream, unless the upstream has spoken:
// then its reply is kept for the end of the text, if it is a refusal.
func (s *session) passText(wire []byte) error {
	err := s.up.Ready()
	if err == nil {
		err = s.up.Write(wire, s.relay.Timeouts.Upstream.Block)
	}
	if err == nil {
		return nil
	}
	return s.interrupted(err)
}

// interrupted deals with an upstream that ends a text from its side.
func (s *session) interrupted(err error) error {
	reply, rerr := s.up.Reply(time.Second)
	if rerr != nil || reply.Class() < 4 {
		if rerr == nil {
			err = upstream.ErrOutOfStep
		}
		return s.lostUpstream("text", err)
	}
	if reply.Code == 421 {
		s.sayWire(reply)
		s.endTransaction(chain.Result{Reply: reply.Reply(), Upstream: reply.Reply().String()})
		s.closeUpstream()
		return errEnd
	}
	reply.Wire = append([]byte(nil), reply.Wire...)
	s.tx.early = &reply
	s.closeUpstream()
	return nil
}

// lostClient ends a transaction whose client has gone, or has fallen silent,
// inside of a message: the upstream must not take what it has for the whole.
func (s *session) lostClient(err error) error {
	if s.streaming() {
		s.closeUpstream()
	}
	return err
}

// tooLong ends a session whose message has no end.
func (s *session) tooLong() error {
	r := withID(tooLong, s.run.Transaction().ID())
	s.endTransaction(chain.Result{Reply: r, Filter: limits, Reason: "text_without_end"})
	s.relay.tally.limit("text_without_end")
	s.endsBy(endLimit)
	s.say(r)
	return errEnd
}

// endText settles a message whose end has come. Piece is the last of it.
func (s *session) endText(p smtp.Piece) error {
	if s.passing() && s.tx.content.end().Action == filters.Continue {
		err := s.up.Ready()
		if err == nil {
			err = s.up.Write(append(p.Wire, endOfText...), s.relay.Timeouts.Upstream.Block)
		}
		s.in.Discard(p.Used)
		if err == nil {
			return s.confirm()
		}
		if err := s.interrupted(err); err != nil {
			return err
		}
		return s.refuseMessage()
	}
	s.in.Discard(p.Used)
	if s.streaming() {
		s.closeUpstream()
	}
	return s.endHeld()
}

// endOfText goes upstream in one write with the last of a text, so that they
// do not wait for each other, and nothing can come in between. In the client's
// octets it mostly stands there already.
const endOfText = ".\r\n"

// confirm waits for the upstream's reply to a whole message. Only a complete
// 2xx that came after the end of data becomes one for the client.
func (s *session) confirm() error {
	reply, err := s.finalReply()
	if err == nil && !final(reply) {
		err = upstream.ErrOutOfStep
	}
	if err != nil {
		s.logUpstream("end of data", err)
		r := withID(notConfirmed, s.run.Transaction().ID())
		s.endTransaction(chain.Result{Reply: r, Filter: "upstream", Reason: "upstream_lost"})
		s.closeUpstream()
		s.say(r)
		return nil
	}
	text := reply.Reply()
	s.sayWire(reply)
	gone := s.flush() // at once: were it lost now, the client would send the message again
	s.endTransaction(chain.Result{Reply: text, Upstream: text.String()})
	if reply.Code == 421 {
		s.closeUpstream()
		return errEnd
	}
	if reply.Class() == 2 {
		s.errors, s.said = 0, 0
	}
	s.up.Release()
	return gone
}

// refuseMessage gives the reply to a message that the upstream did not get to
// the end of.
func (s *session) refuseMessage() error {
	id := s.run.Transaction().ID()
	switch {
	case s.tx.early != nil:
		text := s.tx.early.Reply()
		s.sayWire(*s.tx.early)
		s.endTransaction(chain.Result{Reply: text, Upstream: text.String()})
		return nil
	case s.tx.fault != "":
		r := withID(with(badText, string(s.tx.fault)), id)
		s.endTransaction(chain.Result{Reply: r, Filter: "wire", Reason: faultReason(s.tx.fault)})
		s.say(r)
		return nil
	}
	d := s.tx.content.end()
	if s.tx.content.tooLarge {
		d.Reply = withID(d.Reply, id)
		s.endTransaction(chain.Result{Reply: d.Reply, Filter: limits, Reason: "header_too_large"})
		s.relay.tally.limit("header_too_large")
	}
	if d.Action == filters.Continue {
		d.Reply = withID(notConfirmed, id) // nobody has taken the message
	}
	s.endTransaction(chain.Result{Reply: d.Reply})
	s.say(d.Reply)
	if d.Action == filters.Hangup {
		s.endsBy(endRefused)
		return errEnd
	}
	return nil
}

// faultReason is the slug of a fault in a text.
func faultReason(f smtp.Fault) string {
	switch f {
	case smtp.BareLF:
		return "bare_lf"
	case smtp.BareCR:
		return "bare_cr"
	}
	return "nul"
}
