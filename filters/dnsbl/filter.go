// Package dnsbl asks DNS lists about clients.
package dnsbl

import (
	"context"
	"sync"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/ipset"
)

// What the lists say of the client's address. A later entry of this kind sets
// them again.
var (
	Score = filters.NewFact[int]("dnsbl.score", "what the lists' answers about the client's address count together; known once all have answered or timed out")
	Zones = filters.NewFact[[]string]("dnsbl.zones", "the lists that have the client's address, as they are shown")
)

// defaultTimeout is how long a session waits for lists at most, where its entry
// says nothing else.
const defaultTimeout = 5 * time.Second

// Kind describes these filters.
var Kind = filters.Define(filters.Kind{
	Name:    "dnsbl",
	Doc:     manual(),
	Sets:    []filters.FactInfo{Score.Info, Zones.Info},
	Timeout: defaultTimeout,
	Observe: true,
	Lenient: true,
}, defaults(), build)

var (
	_ filters.ConnectFilter = (*filter)(nil)
	_ filters.HeloFilter    = (*filter)(nil)
	_ filters.MailFilter    = (*filter)(nil)
	_ filters.RcptFilter    = (*filter)(nil)
	_ filters.DataFilter    = (*filter)(nil)
	_ filters.Stager        = (*filter)(nil)
	_ filters.Worker        = (*filter)(nil)
)

type filter struct {
	zones     []*zone
	desk      *desk
	threshold int
	at        Stage
	exempt    *ipset.Set
	checks    map[Check]bool // that some zone makes

	// What the filter keeps of sessions and transactions.
	ofSession filters.Fact[*inquiry]
	ofHelo    filters.Fact[struct{}] // runs the look-ups
	ofTx      filters.Fact[*part]
	ofSender  filters.Fact[struct{}]
	settled   filters.Fact[filters.Verdict]
}

// Stages returns those at which look-ups begin, and the one that settles.
func (f *filter) Stages() filters.Stages {
	set := filters.StageSet(filters.Connect, map[Stage]filters.Stage{
		"connect": filters.Connect, "helo": filters.Helo, "mail": filters.Mail, "rcpt": filters.Rcpt, "data": filters.Data,
	}[f.at])
	if f.checks[CheckHelo] {
		set |= filters.StageSet(filters.Helo)
	}
	if f.checks[CheckSender] || f.at == "helo" { // see Mail
		set |= filters.StageSet(filters.Mail)
	}
	return set
}

// Connect begins the look-ups about the client's address.
func (f *filter) Connect(ctx context.Context, s *filters.Session) filters.Verdict {
	client := s.Client.Addr().Unmap().WithZone("")
	if !client.IsValid() || client == never4 || f.exempt.Contains(client) || len(f.zones) == 0 {
		Score.Set(s, 0)
		Zones.Set(s, nil)
		f.ofSession.Set(s, nil)
		return filters.Verdict{}
	}
	q := newInquiry()
	q.client = f.begin(q, clientSubject(client))
	f.ofSession.Set(s, q)
	f.publish(s, q.client)
	return f.settle(ctx, "connect", s, nil)
}

// publish sets the facts, now or when all lists have answered.
func (f *filter) publish(s *filters.Session, p *part) {
	if !p.pending() {
		Score.Set(s, f.score(p))
		Zones.Set(s, f.listing(p))
		return
	}
	Score.Go(s, func(ctx context.Context) (int, error) {
		p.run(ctx)
		return f.score(p), nil
	})
	Zones.Go(s, func(ctx context.Context) ([]string, error) {
		<-p.ended
		return f.listing(p), nil
	})
}

func (f *filter) score(p *part) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return f.tally(p).score
}

// listing returns the lists that have the subject.
func (f *filter) listing(p *part) (shown []string) {
	for _, h := range f.hits(p.inquiry, p) {
		if h.result.state == Listed {
			shown = append(shown, h.shown)
		}
	}
	return shown
}

// maxHelos is about how many HELO names of a session the lists are asked. What
// they said of the last stands for those that follow.
const maxHelos = 10

// Helo begins the look-ups about the name, in place of those about an earlier
// one.
func (f *filter) Helo(ctx context.Context, s *filters.Session) filters.Verdict {
	q, _ := f.ofSession.Get(ctx, s)
	if q == nil {
		return filters.Verdict{}
	}
	if f.checks[CheckHelo] {
		f.askHelo(s, q)
	}
	return f.settle(ctx, "helo", s, nil)
}

func (f *filter) askHelo(s *filters.Session, q *inquiry) {
	domain, ok := domainOf(s.Helo)
	if old := q.helo; old != nil {
		if ok && old.shown == domain || q.helos >= maxHelos {
			return
		}
		if old.cancel != nil {
			old.cancel()
		}
		q.helo = nil
	}
	if !ok {
		return
	}
	q.helos++
	q.helo = f.begin(q, domainSubject(CheckHelo, domain))
	launch(f.ofHelo, s, q.helo)
}

// launch runs a part in the background, as long as its holder lives.
func launch(fact filters.Fact[struct{}], h filters.Holder, p *part) {
	if !p.pending() {
		return
	}
	fact.Go(h, func(ctx context.Context) (struct{}, error) {
		p.run(ctx)
		return struct{}{}, nil
	})
}

// Mail begins the look-ups about the sender's domain.
func (f *filter) Mail(ctx context.Context, t *filters.Transaction) filters.Verdict {
	q, _ := f.ofSession.Get(ctx, t.Session)
	if q == nil {
		return filters.Verdict{}
	}
	if domain, ok := domainOf(t.From.Domain); ok && f.checks[CheckSender] {
		p := f.begin(q, domainSubject(CheckSender, domain))
		f.ofTx.Set(t, p)
		launch(f.ofSender, t, p)
	}
	at := Stage("mail")
	if f.at == "helo" && t.Session.Helo == "" { // a client that has not greeted gets away with nothing
		at = "helo"
	}
	return f.settle(ctx, at, t.Session, t)
}

// Rcpt settles if it is the stage to do so; for the transaction's further
// recipients that stands.
func (f *filter) Rcpt(ctx context.Context, t *filters.Transaction, _ *filters.Path) filters.Verdict {
	return f.settle(ctx, "rcpt", t.Session, t)
}

// Data settles if it is the stage to do so.
func (f *filter) Data(ctx context.Context, t *filters.Transaction) filters.Verdict {
	return f.settle(ctx, "data", t.Session, t)
}

// settle waits for the lists and returns the verdict, at the stage for that.
// There is no transaction before MAIL.
func (f *filter) settle(ctx context.Context, at Stage, s *filters.Session, t *filters.Transaction) filters.Verdict {
	if at != f.at || s.AuthType != "" {
		return filters.Verdict{}
	}
	q, _ := f.ofSession.Get(ctx, s)
	if q == nil {
		return filters.Verdict{}
	}
	parts := [...]*part{q.client, q.helo, nil}
	if t != nil {
		if v, err := f.settled.Get(ctx, t); err == nil {
			return v
		}
		parts[2], _ = f.ofTx.Get(ctx, t)
	}
	v := filters.Verdict{}
	if score, refused := f.await(ctx, q, parts[:]...); refused {
		v = f.refusal(s, t, score, f.hits(q, parts[:]...))
	}
	if t != nil {
		f.settled.Set(t, v)
	}
	return v
}

// Work tests the lists from time to time.
func (f *filter) Work(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, z := range f.zones {
		for _, l := range z.lists {
			if l != nil {
				wg.Go(func() { l.tend(ctx) })
			}
		}
	}
}
