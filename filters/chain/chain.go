package chain

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/mailweir/mailweir/filters"
)

// Chain is an ordered list of filters, ready to be asked. It is safe for
// concurrent use.
type Chain struct {
	log     *slog.Logger
	now     func() time.Time
	options Options
	entries []*entry
	plan    plan
	counted counted
	work    *work
	trace   *Trace // nil for none
}

// entry is one filter with its settings.
type entry struct {
	Spec
	filter filters.Filter
	stages filters.Stages
	traced bool

	seconds filters.Histogram // that it takes
}

// Build makes the filters of all specs and orders them. Its error holds every
// spec that failed, each with its position.
func Build(env filters.Env, specs []Spec, options Options) (*Chain, error) {
	c := &Chain{log: env.Log, now: env.Now, options: options, counted: newCounted(env), work: newWork()}
	env.Facts = factsOf(specs)
	var errs []error
	for _, spec := range specs {
		e, err := newEntry(env, spec)
		e.seconds = c.counted.seconds
		if err != nil {
			errs = append(errs, &SpecError{spec, err})
		}
		c.entries = append(c.entries, e)
	}
	ordered, err := order(c.entries)
	if err := errors.Join(append(errs, err)...); err != nil {
		c.Close()
		return nil, err
	}
	c.entries = ordered
	c.plan = newPlan(c.entries)
	return c, nil
}

// factsOf returns what the filters of the specs set.
func factsOf(specs []Spec) []filters.FactInfo {
	facts := []filters.FactInfo{}
	for _, spec := range specs {
		facts = append(facts, spec.Kind.Sets...)
	}
	return facts
}

// newEntry builds the filter of a spec. What the filter needs by its
// configuration counts as what its kind needs. The entry of one that fails has
// no filter.
func newEntry(env filters.Env, spec Spec) (*entry, error) {
	if spec.Name == "" {
		spec.Name = spec.Kind.Name
	}
	if spec.Timeout == 0 {
		spec.Timeout = spec.Kind.Timeout
	}
	env.Log = env.Log.With("filter", spec.Name)
	env.Timeout = spec.Timeout
	f, err := spec.Kind.New(env, spec.Conf)
	if err != nil {
		return &entry{Spec: spec}, err
	}
	if n, ok := f.(filters.Needer); ok {
		spec.Kind.Needs |= n.Needs()
	}
	return &entry{Spec: spec, filter: f, stages: filters.StagesOf(f)}, nil
}

// SpecError is an entry that could not be built.
type SpecError struct {
	Spec Spec
	Err  error
}

func (e *SpecError) Error() string {
	if e.Spec.Pos == "" {
		return fmt.Sprintf("%s: %v", e.Spec.Kind.Name, e.Err)
	}
	return fmt.Sprintf("%s: %s: %v", e.Spec.Pos, e.Spec.Kind.Name, e.Err)
}

func (e *SpecError) Unwrap() error { return e.Err }

// For returns the part of the chain that serves the listener of that name. It
// shares its filters with c and need not be closed.
func (c *Chain) For(listener string) *Chain {
	part := *c
	part.entries = nil
	for _, e := range c.entries {
		if e.serves(listener) {
			part.entries = append(part.entries, e)
		}
	}
	part.plan = newPlan(part.entries)
	part.counted = c.counted.of(listener)
	return &part
}

// Close ends the filters' own work and releases what they hold. No Run may be
// under way.
func (c *Chain) Close() error {
	c.work.end()
	var errs []error
	for _, e := range c.entries {
		if f, ok := e.filter.(io.Closer); ok {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

// Wants returns the stages at which some filter is asked, and what the filters
// need done to messages.
func (c *Chain) Wants() (filters.Stages, filters.Needs) {
	var stages filters.Stages
	var needs filters.Needs
	for _, e := range c.entries {
		stages |= e.stages
		needs |= e.needs()
	}
	return stages, needs
}

// needs returns what is done to messages for the entry: nothing if it is never
// asked, nothing that changes them while it is only observed, and its own way
// of quarantine if it has one.
func (e *entry) needs() filters.Needs {
	if e.stages == 0 {
		return 0
	}
	n := e.Kind.Needs
	if e.Action == Ignore {
		return n &^ (filters.Edits | filters.DoQuarantine)
	}
	if own := e.Quarantine.needs(); own != 0 && n&filters.DoQuarantine != 0 {
		n = n&^filters.DoQuarantine | own
	}
	return n
}

// Fits tells whether a front end that offers o can serve the chain. Its error
// names each entry that asks for more, and what it asks for.
func (c *Chain) Fits(o filters.Offers) error {
	var errs []error
	for _, e := range c.entries {
		if stages := e.stages &^ o.Stages; stages != 0 {
			errs = append(errs, &SpecError{e.Spec, fmt.Errorf("this listener has no stage %s", stages)})
		}
		if needs := e.needs() &^ o.Needs; needs != 0 {
			errs = append(errs, &SpecError{e.Spec, fmt.Errorf("this listener cannot %s", needs)})
		}
	}
	return errors.Join(errs...)
}

// Announce returns what the enforced filters want the EHLO reply to say.
func (c *Chain) Announce() filters.Announcement {
	var a filters.Announcement
	for _, e := range c.entries {
		if f, ok := e.filter.(filters.Announcer); ok && e.Action != Ignore {
			f.Announce(&a)
		}
	}
	return a
}
