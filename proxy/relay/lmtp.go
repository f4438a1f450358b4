package relay

import (
	"bytes"
	"log/slog"
	"time"

	"github.com/mailweir/mailweir/proxy/smtp"
	"github.com/mailweir/mailweir/proxy/upstream"
)

// finalReply reads what the upstream says to a whole message. Of LMTP that is a
// reply for each recipient (RFC 2033 section 4.2), and one of them goes to the
// client: a refusal for now if there is any, since then the client comes again;
// else one for good; acceptance only if all have accepted. Who has accepted
// besides may get the message twice, but nobody loses it. All of them together
// may take as long as one: the client waits no longer.
func (s *session) finalReply() (smtp.ServerReply, error) {
	s.upTx = false // whatever comes
	patience := s.relay.Timeouts.Upstream.EndOfData
	sent := time.Now()
	defer func() { s.took(upstream.EndOfData, sent) }()
	end := sent.Add(patience)
	worst, err := s.up.Reply(patience)
	if !s.group.LMTP || err != nil || !final(worst) {
		return worst, err
	}
	worst.Wire = bytes.Clone(worst.Wire)
	accepted := 0
	if worst.Class() == 2 {
		accepted++
	}
	for range s.recipients() - 1 {
		reply, err := s.up.Reply(time.Until(end))
		if err != nil {
			return reply, err
		}
		if !final(reply) {
			return reply, upstream.ErrOutOfStep
		}
		if graver(reply, worst) {
			worst = reply
			worst.Wire = bytes.Clone(reply.Wire)
		}
		if reply.Class() == 2 {
			accepted++
		}
	}
	if n := s.recipients(); worst.Class() != 2 && accepted > 0 {
		s.log(slog.LevelWarn, "some recipients have accepted a message that others refuse", "accepted", accepted, "refused", n-accepted,
			"reply", worst.Reply().String())
	}
	return worst, nil
}

// final reports whether a reply can be about a message: 2xx, 4xx or 5xx.
func final(r smtp.ServerReply) bool { return r.Class() != 3 && (r.Class() != 2 || r.Full) }

// graver reports whether a has precedence over b: 4xx over 5xx over 2xx.
func graver(a, b smtp.ServerReply) bool {
	rank := [...]int{2: 0, 5: 1, 4: 2}
	return rank[a.Class()] > rank[b.Class()]
}

// recipients returns how many recipients the upstream has accepted.
func (s *session) recipients() int {
	if s.tx.rewritten > 0 {
		return s.tx.rewritten
	}
	return s.tx.accepted
}
