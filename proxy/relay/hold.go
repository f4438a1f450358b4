package relay

import (
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
	"github.com/mailweir/mailweir/proxy/smtp"
	"github.com/mailweir/mailweir/proxy/upstream"
)

// holds reports whether messages must be complete here before the upstream
// gets to see their content.
func holds(n filters.Needs) bool { return n&(filters.WholeMessage|filters.Edits) != 0 }

// room is where the message is to be held, nil for nowhere.
func (s *session) room() *Room {
	if !s.relay.hold || s.tx.local {
		return nil
	}
	return s.relay.Room
}

// endHeld settles a message that the upstream has not begun to read: one that
// is held here, or was refused or will be discarded.
func (s *session) endHeld() error {
	spool := s.tx.content.spool
	if spool == nil {
		return s.refuseMessage()
	}
	defer spool.close()
	if !s.tx.refused() && s.tx.content.end().Action == filters.Continue {
		if spool.err != nil {
			return s.cannotHold(spool.err)
		}
		return s.deliverHeld()
	}
	if err := s.refuseMessage(); err != nil {
		return err
	}
	return s.resetUpstream()
}

// deliverHeld sends a held message that the chain has agreed to, with its
// edits made. Until now the upstream knows the envelope only.
func (s *session) deliverHeld() error {
	edits := s.run.Transaction().Edits()
	message, err := s.tx.content.spool.rewrite(edits)
	if err != nil {
		return s.cannotHold(err)
	}
	reply, err := s.sendEnvelope(edits)
	if err == nil && reply.Code != 354 {
		return s.refusedHeld(reply)
	}
	if err == nil {
		err = s.up.Ready()
	}
	if err == nil {
		err = smtp.Stuff(blockWriter{s}, message)
	}
	if err == nil {
		return s.confirm()
	}
	if err := s.interrupted(err); err != nil {
		return err
	}
	return s.refuseMessage()
}

// blockWriter writes to the upstream, with a time-out for each block.
type blockWriter struct{ *session }

// Write implements io.Writer.
func (w blockWriter) Write(b []byte) (int, error) {
	if err := w.up.Ready(); err != nil {
		return 0, err
	}
	if err := w.up.Write(b, w.relay.Timeouts.Upstream.Block); err != nil {
		return 0, err
	}
	return len(b), nil
}

// sendEnvelope makes the edits of the envelope and says DATA. The reply is
// the one to DATA, or the first that stands in the way.
func (s *session) sendEnvelope(edits []filters.Edit) (smtp.ServerReply, error) {
	from, rcpts, added, anew := envelope(s.run.Transaction(), edits)
	s.tx.rewritten = len(rcpts)
	if anew {
		if reply, err := s.step(smtp.RSET, func() { s.up.Command("RSET", nil) }); err != nil || reply.Class() != 2 {
			return reply, err
		}
		s.upTx = false
		if err := s.forward(); err != nil {
			return smtp.ServerReply{}, err
		}
		if reply, err := s.step(smtp.MAIL, func() { s.up.Path("MAIL FROM:", from) }); err != nil || reply.Class() != 2 {
			return reply, err
		}
		s.upTx, added = true, rcpts
	}
	for _, to := range added {
		if reply, err := s.step(smtp.RCPT, func() { s.up.Path("RCPT TO:", to) }); err != nil || reply.Class() != 2 {
			return reply, err
		}
	}
	return s.step(smtp.DATA, func() { s.up.Command("DATA", nil) })
}

// step asks the upstream one thing that the client does not hear of.
func (s *session) step(verb smtp.Verb, queue func()) (smtp.ServerReply, error) {
	queue()
	if err := s.up.Send(s.relay.Timeouts.Upstream.Other); err != nil {
		return smtp.ServerReply{}, err
	}
	sent := time.Now()
	reply, err := s.up.Reply(s.waitFor(verb))
	s.took(stepOf(verb), sent)
	if err == nil && (reply.Class() == 3) != (verb == smtp.DATA && reply.Code == 354) || verb == smtp.DATA && reply.Class() == 2 {
		err = upstream.ErrOutOfStep
	}
	return reply, err
}

// envelope returns the envelope after its edits: what to add to the one that
// the upstream has, or, with anew, what to say instead of it.
func envelope(t *filters.Transaction, edits []filters.Edit) (from *filters.Path, rcpts, added []*filters.Path, anew bool) {
	from, rcpts = t.From, slices.Clone(t.Rcpts)
	for _, e := range edits {
		switch e := e.(type) {
		case filters.ChangeSender:
			from, anew = &e.From, true
		case filters.AddRcpt:
			rcpts, added = append(rcpts, &e.To), append(added, &e.To)
		case filters.RemoveRcpt:
			same := func(p *filters.Path) bool { return p.Raw == e.Raw }
			anew = anew || slices.ContainsFunc(rcpts, same)
			rcpts = slices.DeleteFunc(rcpts, same)
		}
	}
	return from, rcpts, added, anew
}

// ofEnvelope reports whether the edit is one of sender or recipients.
func ofEnvelope(e filters.Edit) bool {
	switch e.(type) {
	case filters.ChangeSender, filters.AddRcpt, filters.RemoveRcpt:
		return true
	}
	return false
}

// refusedHeld gives the upstream's refusal of a held message to the client. It
// may be about an address of ours that the client never named: then its 5xx
// is no reason to bounce.
func (s *session) refusedHeld(reply smtp.ServerReply) error {
	text := reply.Reply()
	if reply.Class() != 4 && slices.ContainsFunc(s.run.Transaction().Edits(), ofEnvelope) {
		s.log(slog.LevelError, "upstream refuses an edited envelope", "upstream_reply", text.String())
		r := withID(cannotEdit, s.run.Transaction().ID())
		s.endTransaction(chain.Result{Reply: r, Upstream: text.String(), Filter: "upstream", Reason: "edit_refused"})
		s.say(r)
	} else {
		s.sayWire(reply)
		s.endTransaction(chain.Result{Reply: text, Upstream: text.String()})
	}
	if reply.Code == 421 {
		s.closeUpstream()
		return errEnd
	}
	return s.resetUpstream()
}

// cannotHold refuses a message for which there is no room.
func (s *session) cannotHold(err error) error {
	s.log(slog.LevelError, "message cannot be held", "error", err.Error())
	r := withID(noRoom, s.run.Transaction().ID())
	s.endTransaction(chain.Result{Reply: r, Filter: limits, Reason: "no_room"})
	s.relay.tally.limit("no_room")
	s.say(r)
	return s.resetUpstream()
}

// resetPatience bounds the wait for the reply to a RSET of ours.
const resetPatience = 10 * time.Second

// resetUpstream makes the upstream forget an envelope whose message was
// refused here. If it does not, another connection will do.
func (s *session) resetUpstream() error {
	if s.up == nil {
		return nil
	}
	s.up.Command("RSET", nil)
	err := s.up.Send(resetPatience)
	var reply smtp.ServerReply
	if err == nil {
		reply, err = s.up.Reply(resetPatience)
	}
	if err == nil && reply.Class() != 2 {
		err = fmt.Errorf("%w: %s", upstream.ErrOutOfStep, reply.Reply())
	}
	if err != nil {
		s.closeUpstream()
		return nil
	}
	s.upTx = false
	s.up.Release()
	return nil
}
