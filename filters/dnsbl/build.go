package dnsbl

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/ipset"
)

func build(env filters.Env, c *Config) (filters.Filter, error) { return newFilter(env, c) }

func newFilter(env filters.Env, c *Config) (*filter, error) {
	f := &filter{threshold: c.Threshold, at: c.At, exempt: ipset.Of(c.Exempt), desk: newDesk(env, c), checks: map[Check]bool{}}
	var errs []error
	fallback, err := parseTemplate(c.Reply)
	if err != nil {
		errs = append(errs, fmt.Errorf("reply: %w", err))
	}
	for i, conf := range c.Zones {
		z, err := newZone(conf, fallback)
		if err != nil {
			errs = append(errs, fmt.Errorf("zones: item %d (%s): %w", i+1, cmp.Or(conf.String(), "without a name"), err))
			continue
		}
		f.add(env, z)
	}
	if err := errors.Join(append(errs, f.check(c))...); err != nil {
		return nil, err
	}
	unique := fmt.Sprintf(" %p", f)
	f.ofSession = filters.NewFact[*inquiry]("dnsbl.session"+unique, "")
	f.ofHelo = filters.NewFact[struct{}]("dnsbl.helo"+unique, "")
	f.ofTx = filters.NewFact[*part]("dnsbl.transaction"+unique, "")
	f.ofSender = filters.NewFact[struct{}]("dnsbl.sender"+unique, "")
	f.settled = filters.NewFact[filters.Verdict]("dnsbl.settled"+unique, "")
	return f, nil
}

func newDesk(env filters.Env, c *Config) *desk {
	d := &desk{resolver: env.Resolver, log: env.Log, now: env.Now, maxShare: c.MaxShare, interval: c.SelfTestInterval}
	if d.resolver == nil {
		d.resolver = noResolver{}
	}
	d.fresh = d.resolver.Fresh()
	// The filter must be done before the chain takes it for one that failed.
	timeout := cmp.Or(env.Timeout, defaultTimeout)
	d.limit = timeout - min(timeout/10, 250*time.Millisecond)
	d.answers = env.Counter("mailweir_dnsbl_answers_total", "Answers of DNS lists.", "zone", "result")
	return d
}

// add adds a zone with the lists that it is asked as.
func (f *filter) add(env filters.Env, z *zone) {
	f.zones = append(f.zones, z)
	for _, c := range z.checks {
		f.checks[c] = true
		switch {
		case c.byName():
			if z.lists[names] == nil {
				z.lists[names] = newList(env, z, names, f.desk)
			}
			continue
		case z.ipv4:
			z.lists[ipv4] = newList(env, z, ipv4, f.desk)
		}
		if z.ipv6 {
			z.lists[ipv6] = newList(env, z, ipv6, f.desk)
		}
	}
}

// check reports what no configuration can be.
func (f *filter) check(c *Config) error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Threshold < 1 {
		fail("threshold: want 1 or more: a client that no list knows scores 0")
	}
	if c.MaxShare < 0 || c.MaxShare > 1 {
		fail("max_share: want a number from 0 to 1")
	}
	if c.SelfTestInterval != 0 && c.SelfTestInterval < time.Minute {
		fail("self_test_interval: want 1m or more, or 0s")
	}
	if err := oneOf(string(c.At), stages); err != nil {
		fail("at: %w", err)
		return errors.Join(errs...)
	}
	for i, z := range f.zones {
		if slices.ContainsFunc(f.zones[:i], func(other *zone) bool { return other.shown == z.shown }) {
			fail("zones: %s stands there twice: give one of them a label if they differ", z.shown)
		}
		switch {
		case z.asks(CheckHelo) && c.At.before("helo"):
			fail("at: %s is too early for %s, which is asked about the HELO name", c.At, z.shown)
		case z.asks(CheckSender) && c.At.before("mail"):
			fail("at: %s is too early for %s, which is asked about the sender", c.At, z.shown)
		}
	}
	return errors.Join(errs...)
}

// noResolver stands in where the host has none.
type noResolver struct{}

func (noResolver) Lookup(_ context.Context, q filters.Question) (filters.Answer, error) {
	return filters.Answer{}, &filters.DNSError{Question: q, Err: filters.ErrServFail}
}

func (noResolver) Known(filters.Question) (a filters.Answer, err error, ok bool) {
	return a, nil, false
}

func (noResolver) Fresh() filters.Resolver { return noResolver{} }
