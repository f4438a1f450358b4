package relay

import (
	"log/slog"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/smtp"
)

// knownRcpt answers for the upstream about a recipient that it has refused
// lately because there is no such address.
func (s *session) knownRcpt(to *filters.Path) (told bool) {
	group := s.bound(to)
	memory := group.Recipients()
	if memory == nil || s.info.AuthType != "" { // some have addresses for their own users only
		return false
	}
	reply, ok := memory.Refused(to.String())
	if ok {
		s.log(slog.LevelInfo, "upstream not asked about a recipient that it has refused before", "upstream", group.Name, "to", to.String())
		s.run.Refused(to, reply)
		s.answer(reply)
	}
	return ok
}

// learnRcpt remembers the upstream's answer about a recipient.
func (s *session) learnRcpt(to *filters.Path, reply smtp.ServerReply) {
	if memory := s.group.Recipients(); memory != nil {
		memory.Note(to.String(), reply.Reply())
	}
}
