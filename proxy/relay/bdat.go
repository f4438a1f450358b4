package relay

import (
	"github.com/mailweir/mailweir/filters/chain"
	"github.com/mailweir/mailweir/proxy/smtp"
)

// bdat serves BDAT (RFC 3030): the octets of the chunk follow the command in
// any case, so they are read even when they are not wanted.
func (s *session) bdat(cmd smtp.Command) error {
	if err := s.settle(); err != nil {
		return err
	}
	chunk, ok := smtp.ParseChunk(cmd.Args)
	if !ok {
		// Where the next command begins nobody can tell.
		s.say(badChunk)
		s.endsBy(endRefused)
		return errEnd
	}
	before := len(s.out)
	if ok, err := s.mayChunk(); !ok {
		if err != nil {
			return err
		}
		return s.swallowChunk(chunk.Size, before)
	}
	if !s.tx.chunks {
		s.tx.chunks = true
		s.tx.content.begin(s.run, s.relay, s.room())
	}
	if err := s.passChunk(chunk); err != nil {
		return err
	}
	if !s.tx.open {
		return nil // it was refused
	}
	switch {
	case chunk.Last && s.streaming():
		return s.confirm()
	case chunk.Last:
		return s.endHeld()
	case s.streaming():
		return s.chunkReply()
	}
	s.say(okay)
	return nil
}

// mayChunk asks whether a chunk may follow now. If not, the answer is queued.
func (s *session) mayChunk() (bool, error) {
	switch {
	case !s.offer.has("CHUNKING"):
		s.say(noSuchVerb)
		return false, nil
	case s.tx.open && s.tx.chunks:
		return true, nil
	}
	return s.mayBegin()
}

// swallowChunk reads a chunk that nobody wants. What s.out holds behind before
// is the answer, which waits for the chunk's end.
func (s *session) swallowChunk(size int64, before int) error {
	answer := append([]byte(nil), s.out[before:]...)
	s.out = s.out[:before]
	if err := s.swallow(size); err != nil {
		return err
	}
	s.out = append(s.out, answer...)
	return nil
}

func (s *session) swallow(size int64) error {
	if size > maxSwallowed {
		s.refuseSession(limits, "text_without_end", tooLong)
		return errEnd
	}
	for size > 0 {
		if s.in.Buffered() == 0 {
			if err := s.fill(); err != nil {
				return err
			}
		}
		n := min(int64(s.in.Buffered()), size)
		s.in.Discard(int(n))
		size -= n
	}
	return nil
}

// passChunk passes one chunk on. The last octets of the last chunk go upstream
// only after the chain has agreed. When it returns with the transaction
// closed, the message was refused and the chunk has been read.
func (s *session) passChunk(chunk smtp.Chunk) error {
	head := smtp.AppendChunk(nil, chunk)
	left := chunk.Size
	for first := true; first || left > 0; first = false {
		if left > 0 && s.in.Buffered() == 0 {
			if err := s.fill(); err != nil && head != nil {
				return err // the upstream has heard nothing of this chunk
			} else if err != nil {
				return s.lostClient(err)
			}
		}
		piece := s.in.Pending()
		piece = piece[:min(int64(len(piece)), left)]
		left -= int64(len(piece))
		final := chunk.Last && left == 0
		s.showChunk(piece, final)
		if s.tx.refused() {
			s.in.Discard(len(piece))
			return s.refuseChunk(left)
		}
		if s.streaming() {
			if err := s.sendChunk(head, piece); err != nil {
				return err
			}
			head = nil
			if s.tx.early != nil {
				s.in.Discard(len(piece))
				return s.refuseChunk(left)
			}
		}
		s.in.Discard(len(piece))
	}
	return nil
}

// showChunk lets the chain see a piece, and at the end asks for its verdict.
func (s *session) showChunk(piece []byte, final bool) {
	if !s.tx.binary {
		s.tx.fault = s.tx.chunk.Check(piece)
		if final && s.tx.fault == "" {
			s.tx.fault = s.tx.chunk.End()
		}
	}
	s.tx.content.write(piece)
	if final && s.tx.fault == "" {
		s.tx.content.end()
	}
}

// refuseChunk gives up the upstream's half of the message, reads the rest of
// the chunk and answers it.
func (s *session) refuseChunk(left int64) error {
	if s.streaming() {
		s.closeUpstream()
	}
	if err := s.swallow(left); err != nil {
		return err
	}
	return s.endHeld()
}

func (s *session) sendChunk(head, piece []byte) error {
	patience := s.relay.Timeouts.Upstream.Block
	err := s.up.Ready()
	switch {
	case err != nil:
	case len(head) == 0:
		err = s.up.Write(piece, patience)
	case len(piece) == 0:
		err = s.up.Write(head, patience)
	default:
		err = s.up.WriteBoth(head, piece, patience)
	}
	if err != nil {
		return s.interrupted(err)
	}
	return nil
}

// chunkReply relays the reply to a chunk that is not the last. A refused one
// ends the transaction (RFC 3030 section 2): what follows is not the message.
func (s *session) chunkReply() error {
	reply, err := s.up.Reply(s.relay.Timeouts.Upstream.EndOfData)
	if err != nil {
		return s.lostUpstream("BDAT", err)
	}
	if err := s.relayReply(ask{verb: smtp.BDAT}, reply); err != nil {
		return err
	}
	if reply.Class() != 2 {
		s.endTransaction(chain.Result{Reply: reply.Reply(), Upstream: reply.Reply().String()})
	}
	s.up.Release()
	return nil
}
