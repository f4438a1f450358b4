package relay

import (
	"log/slog"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
	"github.com/mailweir/mailweir/proxy/smtp"
	"github.com/mailweir/mailweir/proxy/upstream"
)

// unwelcome ends a session whose client the upstream, which knows who it is, does
// not want to talk to.
func (s *session) unwelcome(e *upstream.RefusedError) error {
	s.endTransaction(chain.Result{Reply: e.Reply, Upstream: e.Reply.String()})
	s.log(slog.LevelInfo, "refused", "stage", filters.Connect.String(), "filter", "upstream", "reason", "upstream_refuses",
		"action", filters.Hangup.String(), "upstream", e.Server, "reply", e.Reply.String())
	s.say(e.Reply)
	return errEnd
}

// noGreeting logs that the upstream has refused the client's greeting: it may be
// for something that only its administrator, or ours, can set right. Where EHLO is
// not known the client says HELO next (RFC 5321 section 3.2).
func (s *session) noGreeting(verb smtp.Verb, r filters.Reply) {
	action := filters.Reject
	switch {
	case verb == smtp.EHLO && (r.Code == 500 || r.Code == 502):
		return
	case r.Code == 421:
		action = filters.Hangup
	case r.Temporary():
		action = filters.TempFail
	}
	s.log(slog.LevelInfo, "refused", "helo", s.info.Helo, "stage", filters.Helo.String(), "filter", "upstream", "reason", "upstream",
		"action", action.String(), "upstream", s.up.Server(), "reply", r.String(), "upstream_reply", r.String())
}
