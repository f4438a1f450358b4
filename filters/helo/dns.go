package helo

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/internal/lookup"
)

// patience is how long the look-ups may take where the entry has no timeout.
// The kind has none of its own: filters without these tests never wait.
const patience = 5 * time.Second

// dns makes the tests that ask the DNS.
type dns struct {
	resolves, matches, own filters.Test

	resolver filters.Resolver
	patience time.Duration
	begun    filters.Fact[*inquiry] // of this entry alone, as is the next
	found    filters.Fact[answers]
}

// inquiry is what is looked up about one HELO.
type inquiry struct{ stop context.CancelFunc }

// answers is what the DNS says about a name.
type answers struct {
	exists bool         // it has a record of some type
	addrs  []netip.Addr // of the client's family
	broken error        // why there may be more records
	half   error        // why there may be more addresses
}

// newDNS returns nil if none of the tests is to be made, or can be.
func newDNS(env filters.Env, c *Config) *dns {
	if env.Resolver == nil || !c.Resolves.Made() && !c.MatchesClient.Made() && !c.OwnAddress.Made() {
		return nil
	}
	d := &dns{
		resolves: c.Resolves,
		matches:  c.MatchesClient,
		own:      c.OwnAddress,
		resolver: env.Resolver,
		patience: patience,
	}
	if env.Timeout > 0 {
		d.patience = lookup.Patience(env.Timeout, 0)
	}
	d.begun = filters.NewFact[*inquiry](fmt.Sprintf("helo.begun.%p", d), "what one entry looks up")
	d.found = filters.NewFact[answers](fmt.Sprintf("helo.found.%p", d), "what the look-ups of one entry found")
	return d
}

// drop calls off what was begun at an earlier HELO, and has seen it end: a
// client may greet as often as it likes, and has one inquiry at a time.
func (d *dns) drop(ctx context.Context, s *filters.Session) {
	q, err := d.begun.Get(ctx, s)
	if err != nil || q == nil {
		return
	}
	q.stop()
	d.found.Get(ctx, s)
	d.begun.Set(s, nil)
}

// begin looks a name up, in the background unless all that matters is known.
func (d *dns) begin(s *filters.Session, name string) {
	h := hearing{dns: d, family: lookup.Family(s.Client.Addr()), compared: !d.matches.Made() && !d.own.Made()}
	open := h.known(d.questions(name, h.family))
	if len(open) == 0 {
		d.found.Set(s, h.answers)
		d.begun.Set(s, ended)
		return
	}
	h.ask(s, open)
}

// ask asks what is not known, in the background.
func (h hearing) ask(s *filters.Session, open []filters.Question) {
	stopped, stop := context.WithCancel(context.Background())
	h.begun.Set(s, &inquiry{stop})
	h.found.Go(s, func(ctx context.Context) (answers, error) {
		defer stop()
		ctx, cancel := context.WithTimeout(ctx, h.patience)
		defer cancel()
		defer context.AfterFunc(stopped, cancel)()
		for r := range lookup.Each(ctx, h.resolver, open) {
			if h.take(r.Question, r.Answer, r.Err) {
				break
			}
		}
		return h.answers, nil
	})
}

// ended is an inquiry of which nothing is under way.
var ended = &inquiry{stop: func() {}}

// questions returns what to ask about a name, its addresses first.
func (d *dns) questions(name string, family filters.RecordType) []filters.Question {
	questions := []filters.Question{{Name: name, Type: family}}
	for _, t := range []filters.RecordType{filters.TypeA, filters.TypeAAAA, filters.TypeMX} {
		if d.resolves.Made() && t != family {
			questions = append(questions, filters.Question{Name: name, Type: t})
		}
	}
	return questions
}

// A hearing takes answers about a name as they come.
type hearing struct {
	*dns
	answers
	family   filters.RecordType
	compared bool // the addresses are there, or do not matter
}

// known takes what the resolver remembers, and returns the questions whose
// answers may matter still.
func (h *hearing) known(questions []filters.Question) (open []filters.Question) {
	for _, q := range questions {
		a, err, ok := h.resolver.Known(q)
		if !ok {
			open = append(open, q)
		} else if h.take(q, a, err) {
			return nil
		}
	}
	return open
}

// take reports whether further answers cannot matter any more.
func (h *hearing) take(q filters.Question, a filters.Answer, err error) (enough bool) {
	failed := err != nil && !filters.NotFound(err)
	if failed {
		h.broken = err
	}
	if q.Type == h.family {
		h.compared = true
		if h.addrs = a.Addrs; failed {
			h.half = err
		}
	}
	h.exists = h.exists || err == nil
	return h.compared && h.exists
}

// judge waits for what begin has started, if it has.
func (d *dns) judge(ctx context.Context, s *filters.Session) filters.Verdict {
	if q, err := d.begun.Get(ctx, s); err != nil || q == nil || s.AuthUser != "" {
		return filters.Verdict{}
	}
	a, err := d.found.Get(ctx, s)
	if err != nil {
		a = answers{broken: err, half: err}
	}
	var gone, unsure filters.Verdict
	switch {
	case a.exists:
	case a.broken != nil:
		unsure = d.resolves.Finds(filters.Failed(a.broken))
	default:
		gone = d.resolves.Finds(refuse("helo_unresolvable", "Your HELO name %+.64q has neither address nor MX records: use the name of your server", s.Helo))
	}
	return filters.Gravest(d.isOwn(a, s), gone, d.mismatch(a, s), unsure)
}

// isOwn looks for the address that another machine connected to.
func (d *dns) isOwn(a answers, s *filters.Session) filters.Verdict {
	client, local := plain(s.Client), plain(s.Local)
	switch {
	case !local.IsValid() || client == local || client.IsLoopback():
		return filters.Verdict{}
	case a.half != nil:
		return d.own.Finds(filters.Failed(a.half))
	case slices.Contains(a.addrs, local):
		return d.own.Finds(refuse("helo_own_address", "Your HELO name %+.64q has our address: use the name of your own server", s.Helo))
	}
	return filters.Verdict{}
}

func (d *dns) mismatch(a answers, s *filters.Session) filters.Verdict {
	switch {
	case !d.matches.Made():
		return filters.Verdict{}
	case a.half != nil:
		return d.matches.Finds(filters.Failed(a.half))
	case !slices.Contains(a.addrs, plain(s.Client)):
		return d.matches.Finds(refuse("helo_client_mismatch", "Your HELO name %+.64q has not the address that you connect from: use the name of your server", s.Helo))
	}
	return filters.Verdict{}
}

// plain returns an address in the form that the DNS gives it.
func plain(a netip.AddrPort) netip.Addr { return a.Addr().Unmap().WithZone("") }
