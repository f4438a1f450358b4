package rules

import "github.com/mailweir/mailweir/filters"

// plan is the rules of one stage, in order: those under rules, then those of
// each set.
type plan struct {
	rules    []*rule
	first    []*matcher // of each rule, nil for none: most rules fail there
	index    *index
	segments []segment
}

// segment is the rules of one set, from from up to end; the first segment,
// without a set, is always there.
type segment struct {
	set       *set
	from, end int
}

// newPlan sorts out the rules of a stage, nil if there are none.
func newPlan(stage filters.Stage, top []*rule, sets []*set) *plan {
	p := &plan{}
	p.add(nil, stage, top)
	for _, s := range sets {
		p.add(s, stage, s.rules)
	}
	if len(p.rules) == 0 {
		return nil
	}
	matchers := make([][]*matcher, len(p.rules))
	for i, r := range p.rules {
		matchers[i] = r.match
		var first *matcher
		if len(r.match) > 0 {
			first = r.match[0]
		}
		p.first = append(p.first, first)
	}
	p.index = newIndex(matchers)
	return p
}

func (p *plan) add(s *set, stage filters.Stage, rules []*rule) {
	from := len(p.rules)
	for _, r := range rules {
		if r.stage == stage {
			p.rules = append(p.rules, r)
		}
	}
	if s == nil || len(p.rules) > from {
		p.segments = append(p.segments, segment{s, from, len(p.rules)})
	}
}

// chooser finds the set of a recipient: the first that takes it.
type chooser struct {
	sets  []*set
	index *index
}

func newChooser(sets []*set) *chooser {
	c := &chooser{}
	var matchers [][]*matcher
	for _, s := range sets {
		if s.to != nil {
			c.sets = append(c.sets, s)
			matchers = append(matchers, []*matcher{s.to})
		}
	}
	if len(c.sets) == 0 {
		return nil
	}
	c.index = newIndex(matchers)
	return c
}

// choose returns the set of a recipient, nil for none. It forgets what e has
// read.
func (c *chooser) choose(e *evaluation, to *filters.Path) *set {
	if c == nil {
		return nil
	}
	had := e.to
	e.reset()
	e.to = to
	defer func() {
		e.reset()
		e.to = had
	}()
	c.index.candidates(e)
	for i := e.next(0, len(c.sets)); i < len(c.sets); i = e.next(i+1, len(c.sets)) {
		if s := c.sets[i]; s.serves(e.s.Listener) && s.to.holds(e) {
			return s
		}
	}
	return nil
}
