package dnsbl

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/mailweir/mailweir/filters"
)

// Subject is what Report asks about. Parts that are empty are left out.
type Subject struct {
	Client netip.Addr
	Helo   string
	Sender string // an address, or its domain
}

// Outcome is what a filter makes of a subject.
type Outcome struct {
	Zones     []ZoneReport
	Exempt    bool // no list was asked
	Score     int
	Threshold int
	Refused   bool
	Reply     string // of the refusal, without its id
}

// ZoneReport is what a list says. No text in it holds a key.
type ZoneReport struct {
	Zone    string // as it may be shown
	Check   Check
	Subject string
	State   State
	Answers []netip.Addr
	Meaning string // of what counts
	Text    string // the list's own words, if a reply wants them
	Weight  int    // what it counts
	Cause   string // why it does not count
	Took    time.Duration
	Cached  bool
}

// Report asks the lists of a configuration about a subject as a session would,
// and all at once; it waits for all of them. It fails only if the
// configuration is wrong.
func Report(ctx context.Context, env filters.Env, c *Config, about Subject) (Outcome, error) {
	f, err := newFilter(env, c)
	if err != nil {
		return Outcome{}, err
	}
	out := Outcome{Threshold: f.threshold}
	client := about.Client.Unmap().WithZone("")
	if client.IsValid() && (client == never4 || f.exempt.Contains(client)) {
		out.Exempt = true
		return out, nil
	}
	q := newInquiry()
	parts := f.parts(q, client, about)
	var wg sync.WaitGroup
	for _, p := range parts {
		if p.pending() {
			wg.Go(func() { p.run(ctx) })
		}
	}
	wg.Wait()
	hits := f.hits(q, parts...)
	for _, h := range hits {
		out.Zones = append(out.Zones, h.report())
		out.Score += h.counts
	}
	if out.Refused = out.Score >= f.threshold; out.Refused {
		s := &filters.Session{Client: netip.AddrPortFrom(client, 0), Helo: about.Helo}
		t := &filters.Transaction{Session: s, From: &filters.Path{Raw: "<" + about.Sender + ">"}}
		out.Reply = f.refusal(s, t, out.Score, hits).Finding.Reply.String()
	}
	return out, nil
}

// parts are those of the subject that some list is asked about.
func (f *filter) parts(q *inquiry, client netip.Addr, about Subject) []*part {
	var parts []*part
	if client.IsValid() && f.checks[CheckClient] {
		parts = append(parts, f.begin(q, clientSubject(client)))
	}
	if domain, ok := domainOf(about.Helo); ok && f.checks[CheckHelo] {
		parts = append(parts, f.begin(q, domainSubject(CheckHelo, domain)))
	}
	if domain, ok := domainOf(about.domain()); ok && f.checks[CheckSender] {
		parts = append(parts, f.begin(q, domainSubject(CheckSender, domain)))
	}
	return parts
}

// domain returns the sender's domain.
func (s Subject) domain() string {
	for i := len(s.Sender) - 1; i >= 0; i-- {
		if s.Sender[i] == '@' {
			return s.Sender[i+1:]
		}
	}
	return s.Sender
}

func (h hit) report() ZoneReport {
	r := h.result
	return ZoneReport{
		Zone:    h.shown,
		Check:   h.part.check,
		Subject: h.part.shown,
		State:   r.state,
		Answers: slices.Clone(r.addrs),
		Meaning: h.meaning(r.mask),
		Text:    r.text,
		Weight:  h.counts,
		Cause:   r.cause,
		Took:    r.took,
		Cached:  r.cached,
	}
}

// ZoneHealth is how a list does in its self-test.
type ZoneHealth struct {
	Zone   string // as it may be shown
	About  string // IPv4, IPv6 or names
	Off    bool   // self_test is off: it was only asked whether it answers
	OK     bool
	Cause  string // why it is not
	Probes []Probe
}

// Probe is one question of a self-test.
type Probe struct {
	Subject string
	Want    string
	Got     string
	OK      bool
	Took    time.Duration
}

// Health tests the lists of a configuration. It fails only if the
// configuration is wrong.
func Health(ctx context.Context, env filters.Env, c *Config) ([]ZoneHealth, error) {
	f, err := newFilter(env, c)
	if err != nil {
		return nil, err
	}
	var lists []*list
	for _, z := range f.zones {
		for _, l := range z.lists {
			if l != nil {
				lists = append(lists, l)
			}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, testLimit)
	defer cancel()
	out := make([]ZoneHealth, len(lists))
	var wg sync.WaitGroup
	for i, l := range lists {
		wg.Go(func() { out[i] = l.examine(ctx) })
	}
	wg.Wait()
	return out, nil
}

func (l *list) examine(ctx context.Context) ZoneHealth {
	results := l.run(ctx, l.probes())
	cause, _ := verdict(results)
	h := ZoneHealth{Zone: l.shown, About: l.family.String(), Off: !l.selfTest, OK: cause == "", Cause: cause}
	for _, r := range results {
		h.Probes = append(h.Probes, Probe{Subject: r.subject, Want: r.wants(), Got: r.got(), OK: r.cause() == "", Took: r.took})
	}
	return h
}

func (p probe) wants() string {
	switch {
	case p.alive:
		return "any answer"
	case p.listed:
		return "listed"
	}
	return "not listed"
}

func (p probed) got() string {
	switch {
	case p.err != nil:
		return failureText(p.err)
	case p.wrong != nil:
		return fmt.Sprintf("%s (%s)", answers(p.answer.Addrs), p.wrong.text)
	}
	return cmp.Or(answers(p.answer.Addrs), "nothing")
}
