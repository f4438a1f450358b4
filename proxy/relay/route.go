package relay

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/net/idna"

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
	domain = encoded(domain)
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

// encoded returns a domain as routes name it: in lower case, with A-labels for
// what is not ASCII (RFC 5890). One that cannot be encoded is in no route.
func encoded(domain string) string {
	for i := range len(domain) {
		if domain[i] >= 0x80 {
			if ascii, err := idna.Lookup.ToASCII(domain); err == nil {
				return ascii
			}
			break
		}
	}
	return strings.ToLower(domain)
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

// astray reports whether the upstream is one of a route, and has no transaction
// any more: what does not belong to one is for the listener's own.
func (s *session) astray() bool {
	return s.group != s.relay.Upstream && !(s.tx.open && s.upTx)
}

// bound returns the upstream that a recipient is for.
func (s *session) bound(to *filters.Path) *upstream.Group {
	if s.tx.deferred {
		return s.relay.groupOf(to.Domain)
	}
	return s.group
}

// elsewhere answers about a recipient who belongs to another upstream than the
// transaction's. As long as nobody is accepted there, it can go with this one
// instead: were one who is not taken to keep others waiting, they might wait
// forever.
func (s *session) elsewhere(to *filters.Path) (told bool, err error) {
	if s.tx.group == nil || s.tx.local || s.relay.groupOf(to.Domain) == s.tx.group {
		return false, nil
	}
	if s.tx.accepted == 0 {
		if err := s.settle(); err != nil {
			return false, err
		}
	}
	if s.tx.accepted == 0 {
		s.tx.group = nil
		return false, nil
	}
	s.answer(otherGroup)
	return true, nil
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
	if err := s.turnTo(group); err != nil {
		s.noRoute(to, err)
		return true, nil
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
		s.tx.group, s.upTx = group, true
		return false, nil
	}
	s.sayWire(reply)
	s.run.Refused(to, reply.Reply())
	if reply.Code == 421 {
		s.endTransaction(chain.Result{Reason: "upstream_lost"}) // the refusal has been logged
		s.closeUpstream()
		return true, errEnd
	}
	return true, nil
}

// turnTo makes the upstream one of that group, outside of a transaction. It
// fails for one that offers less than the client was offered.
func (s *session) turnTo(group *upstream.Group) error {
	switch {
	case s.up == nil:
	case s.up.Ready() != nil:
		s.closeUpstream()
	case s.group != group || s.upTx:
		s.quitUpstream()
	}
	s.group = group
	if s.up != nil {
		return nil
	}
	reply, err := s.tryHelo()
	switch {
	case err != nil:
		s.closeUpstream()
		return err
	case reply.Class() != 2:
		return fmt.Errorf("reply to HELO or EHLO: %s", reply.Reply())
	}
	s.up.Release()
	if !s.upOffer.carries(s.offer) {
		return errLess
	}
	return nil
}

// noRoute refuses a recipient whose upstream cannot be had. The session goes on:
// others may have recipients of it.
func (s *session) noRoute(to *filters.Path, err error) {
	r := withID(routeDown, s.id())
	if refused, ok := errors.AsType[*upstream.RefusedError](err); ok && refused.Reply.Code != 421 {
		r = refused.Reply
	} else {
		s.logUpstream("route", err)
	}
	if s.up != nil {
		s.quitUpstream()
	}
	s.group = s.relay.Upstream
	s.run.Refused(to, r)
	s.say(r)
}

// common returns what a client is offered that may come to the upstream of a
// route, too. Of one that nobody has talked to yet only the protocol is known.
func (t *terms) common(o *offer, route *upstream.Group) *offer {
	known := route.Keywords()
	switch {
	case len(known) > 0:
		return o.both(t.offerOf(known, route.LMTP))
	case route.LMTP:
		return o.without("CHUNKING").without("BINARYMIME")
	}
	return o
}

// carries reports whether a transaction of a client that was offered other can
// go to an upstream with this offer.
func (o *offer) carries(other *offer) bool {
	for _, name := range other.names {
		if !o.has(name) && !slices.Contains(besides, name) {
			return false
		}
	}
	return true
}

// besides are the keywords that no transaction rests on: they are about verbs
// for the listener's own upstream, about what we do ourselves, or about replies.
var besides = []string{"AUTH", "ENHANCEDSTATUSCODES", "ETRN", "EXPN", "HELP", "LIMITS", "PIPELINING", "VRFY"}

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
