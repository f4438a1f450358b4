package relay

import (
	"slices"
	"strings"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
	"github.com/mailweir/mailweir/proxy/smtp"
	"github.com/mailweir/mailweir/proxy/upstream"
)

// Route is the upstream for the recipients of some domains.
type Route struct {
	Domains  []string // in lower case; one that begins with a dot is for all below it, too
	Upstream *upstream.Group
}

// groupOf returns the upstream for a recipient: by the longest domain that fits.
func (t *terms) groupOf(domain string) *upstream.Group {
	if len(t.Routes) == 0 {
		return t.Upstream
	}
	domain = strings.ToLower(domain)
	if g := t.routes[domain]; g != nil {
		return g
	}
	for below := "." + domain; ; {
		if g := t.routes[below]; g != nil {
			return g
		}
		i := strings.IndexByte(below[1:], '.')
		if i < 0 {
			return t.Upstream
		}
		below = below[1+i:]
	}
}

// routesOf returns the routes by domain.
func routesOf(list []Route) map[string]*upstream.Group {
	all := make(map[string]*upstream.Group, len(list))
	for _, r := range list {
		for _, d := range r.Domains {
			all[d] = r.Upstream
		}
	}
	return all
}

// defers reports whether the upstream hears of a sender with the first recipient
// only, since that decides which upstream it is. Who has logged in has done so
// at one of them, and keeps it.
func (s *session) defers() bool { return len(s.relay.Routes) > 0 && !s.authed }

// elsewhere reports whether a recipient belongs to another upstream than the
// transaction's.
func (s *session) elsewhere(to *filters.Path) bool {
	return s.tx.group != nil && !s.tx.local && s.relay.groupOf(to.Domain) != s.tx.group
}

// route finds the upstream of the first recipient that was not refused here, and
// tells it the sender. told reports that the client has its answer.
func (s *session) route(to *filters.Path) (told bool, err error) {
	if !s.tx.deferred || s.tx.group != nil {
		return false, nil
	}
	group := s.relay.groupOf(to.Domain)
	if err := s.settle(); err != nil {
		return true, err
	}
	if ready, err := s.turnTo(group); err != nil || !ready {
		if err == nil {
			s.say(lessOffered)
		}
		return true, err
	}
	from := s.run.Transaction().From
	if err := s.announceClient(); err != nil {
		return true, err
	}
	reply, err := s.step(smtp.MAIL, func() { s.up.Path("MAIL FROM:", from) })
	if err != nil {
		return true, s.lostUpstream("MAIL", err)
	}
	defer s.up.Release()
	if reply.Class() == 2 {
		s.tx.group = group
		return false, nil
	}
	s.sayWire(reply)
	s.run.Refused(to, reply.Reply())
	if reply.Code == 421 {
		s.endTransaction(chain.Result{Reply: reply.Reply(), Upstream: reply.Reply().String()})
		s.closeUpstream()
		return true, errEnd
	}
	return true, nil
}

// turnTo makes the upstream one of that group. It reports false for one that
// offers less than the client was offered.
func (s *session) turnTo(group *upstream.Group) (ready bool, err error) {
	if s.up != nil && s.group != group {
		s.quitUpstream()
	}
	s.group = group
	s.tx.open = false // so that a lost connection can still be replaced
	defer func() { s.tx.open = err == nil }()
	if s.up == nil {
		reply, err := s.heloUpstream()
		if err != nil {
			return false, err
		}
		s.up.Release()
		if reply.Class() != 2 || !s.upOffer.covers(s.offer) {
			s.noRoute(reply)
			return false, nil
		}
		return true, nil
	}
	return true, s.needUpstream()
}

// noRoute logs why the upstream of a recipient does not do, and leaves it.
func (s *session) noRoute(reply smtp.ServerReply) {
	why := errLess.Error()
	if reply.Class() != 2 {
		why = "reply to HELO or EHLO: " + reply.Reply().String()
	}
	s.logUpstream("route", why)
	s.quitUpstream()
	s.group = s.relay.Upstream
}

// both returns what a client is offered that may come to either of two
// upstreams. AUTH is for the first alone: see defers.
func (o *offer) both(other *offer) *offer {
	var common offer
	for i, name := range o.names {
		switch {
		case name == "AUTH":
		case !other.has(name), name == "LIMITS":
			continue
		}
		line := o.lines[i]
		if name == "SIZE" {
			line = sizeLine(strings.TrimPrefix(line, "SIZE"), other.size())
		}
		common.take(name, line)
	}
	return &common
}

// size returns the greatest size that was offered, 0 for no limit.
func (o *offer) size() int64 {
	i := slices.Index(o.names, "SIZE")
	if i < 0 {
		return 0
	}
	return number(strings.TrimPrefix(o.lines[i], "SIZE"))
}
