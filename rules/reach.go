package rules

import (
	"fmt"
	"slices"

	"github.com/mailweir/mailweir/filters"
)

// asked is a rule with what must hold for it, spelt and sorted.
type asked struct {
	*rule
	conditions []string
	varies     bool // what must hold may differ from one stage to the next
	grows      bool // and from one rule to the next
}

// reachable finds rules that are never asked, since an earlier one always
// decides first.
func (c *compiler) reachable(rules []*rule) {
	byFirst := map[string][]*asked{}
	for _, r := range inOrder(rules) {
		a := newAsked(r)
		if by := shadow(byFirst, a); by != nil {
			c.unreachable(a, by)
		}
		if r.final() && !a.grows && !r.partly {
			first := ""
			if len(a.conditions) > 0 {
				first = a.conditions[0]
			}
			byFirst[first] = append(byFirst[first], a)
		}
	}
}

// inOrder returns the rules as they are asked: stage by stage.
func inOrder(rules []*rule) []*rule {
	sorted := slices.Clone(rules)
	slices.SortStableFunc(sorted, func(a, b *rule) int { return int(a.stage) - int(b.stage) })
	return sorted
}

func newAsked(r *rule) *asked {
	a := &asked{rule: r}
	add := func(prefix string, ms []*matcher) {
		for _, m := range ms {
			a.conditions = append(a.conditions, prefix+m.field.spelt+": "+m.source)
			a.mentions(m.field)
		}
	}
	add("", r.match)
	add("unless ", r.unless)
	if r.when != nil {
		a.conditions = append(a.conditions, "when "+r.when.source)
		for _, ref := range r.when.fields {
			a.mentions(ref)
		}
	}
	slices.Sort(a.conditions)
	return a
}

func (a *asked) mentions(ref *fieldRef) {
	switch {
	case ref.Name == fieldScore || ref.Name == fieldTags:
		a.grows = true
	case ref.Name == "size" || ref.Name == "recipients" || ref.Name == "findings" || isLearnt(ref):
		a.varies = true
	}
}

// shadow returns a rule that has decided whenever a would match: it wants no
// more than a does.
func shadow(byFirst map[string][]*asked, a *asked) *asked {
	for _, first := range append([]string{""}, a.conditions...) {
		for _, by := range byFirst[first] {
			if by.stands(a.stage) && subset(by.conditions, a.conditions) {
				return by
			}
		}
	}
	return nil
}

// stands reports whether the rule's verdict leaves nothing to ask at a stage.
func (a *asked) stands(stage filters.Stage) bool {
	switch {
	case stage == a.stage:
		return true
	case a.varies:
		return false
	case a.stage == filters.Rcpt: // another recipient may have another verdict
		return len(a.conditions) == 0 && a.then.refuses()
	case a.stage == filters.Helo: // the next HELO may have another
		return len(a.conditions) == 0 && a.then.action != filters.Quarantine
	}
	return a.then.action != filters.Quarantine
}

// subset reports whether all of a, sorted, are in b, sorted.
func subset(a, b []string) bool {
	for _, s := range a {
		if _, ok := slices.BinarySearch(b, s); !ok {
			return false
		}
	}
	return true
}

func (c *compiler) unreachable(a, by *asked) {
	at := c.nodes[a.rule]
	where := fmt.Sprintf("%s, in line %d, has decided before", by.name, by.pos.Line)
	if len(by.conditions) > 0 {
		c.problem(at, fmt.Sprintf("the rule %s is never asked with effect: %s", a.name, where), fmt.Sprintf("put it in front of %s, or take it out", by.name))
		return
	}
	hint := fmt.Sprintf("give %s something to match, or put it last", by.name)
	if by.stage < a.stage {
		hint = fmt.Sprintf("give %s something to match, or write at: %v there", by.name, a.stage)
	}
	c.problem(at, fmt.Sprintf("the rule %s is never asked: %s, at %v, for every message", a.name, where, by.stage), hint)
}
