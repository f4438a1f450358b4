package milter

import (
	"strings"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
	"github.com/mailweir/mailweir/proxy/smtp"
)

// readPath makes a path of what the MTA has accepted. It is read as the relay
// reads it. When the address is not in order, the MTA's own reading of it is
// tried, and at last it is cut at its last "@": filters judge it in any case.
// Only one with control characters, which no MTA passes on, is refused.
func readPath(address, params, resolved string, a *smtp.Arena) (*filters.Path, bool) {
	if !clean(address) || !clean(params) {
		return nil, false
	}
	p := new(filters.Path)
	if !parseAddress(address, p, a) && (resolved == "" || !clean(resolved) || !parseAddress(resolved, p, a)) {
		*p = filters.Path{Raw: "<" + address + ">", Local: address}
		if at := strings.LastIndexByte(address, '@'); at >= 0 {
			p.Local, p.Domain = address[:at], address[at+1:]
		}
	}
	p.Params = params
	return p, true
}

// parseAddress reads an address without angle brackets.
func parseAddress(address string, p *filters.Path, a *smtp.Arena) bool {
	err := smtp.ParseMail([]byte("FROM:<"+address+">"), p, a)
	// UTF-8 is the MTA's to allow. Parameters would be what stands behind a ">".
	return (err == nil || err == smtp.NeedUTF8) && p.Params == ""
}

// clean reports whether there are no control characters in s.
func clean(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// badAddress refuses an address that filters cannot be shown.
func (s *session) badAddress(at filters.Stage, reply filters.Reply) chain.Decision {
	reply.Text += " (id " + s.id() + ")"
	s.terms.Log.Info("refused", "id", s.id(), "listener", s.info.Listener, "client", s.info.Client.String(),
		"stage", at.String(), "filter", "milter", "reason", "bad_address",
		"action", filters.Reject.String(), "reply", reply.String())
	return chain.Decision{Action: filters.Reject, Reply: reply}
}
