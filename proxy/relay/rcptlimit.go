package relay

import (
	"log/slog"

	"github.com/mailweir/mailweir/filters"
)

// tooMany counts a recipient that the client names, and answers if that is one
// more than a message, or a session, may have. Those of a message whose replies
// are outstanding may still be refused.
func (s *session) tooMany() (told bool, err error) {
	s.rcpts++
	if most := s.relay.MaxSessionRcpts; most > 0 && s.rcpts > most {
		return true, s.endAt("too_many_recipients_of_session", tooManyInAll)
	}
	if s.full() && s.tx.pending > 0 {
		if err := s.settle(); err != nil {
			return false, err
		}
	}
	if !s.full() {
		return false, nil
	}
	if s.tx.over == 0 {
		s.relay.tally.limit("too_many_recipients")
		s.log(slog.LevelInfo, "refused", "stage", filters.Rcpt.String(), "filter", limits, "reason", "too_many_recipients",
			"action", filters.TempFail.String(), "reply", tooManyRcpts.String())
	}
	s.answer(tooManyRcpts)
	return true, nil
}

// full reports whether the message has all the recipients that it may have.
func (s *session) full() bool {
	return s.relay.MaxRcpts > 0 && s.tx.accepted+s.tx.pending >= s.relay.MaxRcpts
}

// maxOvershoot is how many recipients beyond what a message may have are no
// errors: a client that names all it has, and sends the rest in another
// transaction, does what RFC 5321 section 4.5.3.1.10 asks for. Postfix's
// smtpd_recipient_overshoot_limit is the same.
const maxOvershoot = 1000

// overshoots counts a refusal of a recipient that is one too many, ours or the
// upstream's. It reports whether the client is not to blame for it.
func (s *session) overshoots(r filters.Reply) bool {
	if r.Code != 452 || r.Enh != tooManyRcpts.Enh {
		return false
	}
	s.tx.over++
	return s.tx.over <= maxOvershoot
}
