package rules

import (
	"fmt"
	"slices"

	"github.com/goccy/go-yaml/ast"

	"github.com/mailweir/mailweir/filters"
)

// staging finds the stage of a rule: the earliest at which all that it
// mentions is known.
type staging struct {
	least filters.Stage // no earlier one will do
	blame string        // what it waits for
	eager filters.Stage // the stage to be asked at, if the rule names none
	given []string      // which of score and tags it asks for
}

func (s *staging) mention(ref *fieldRef) {
	if isLearnt(ref) { // by rcpt all is learnt that a session can tell, and nobody need wait for it
		s.eager = max(s.eager, filters.Rcpt)
	}
	if ref.Type == Free { // who sets it when is not known
		return
	}
	if ref.Name == fieldScore || ref.Name == fieldTags {
		s.given = append(s.given, ref.Name)
	}
	s.atLeast(ref.Stage, ref.said)
}

func (s *staging) atLeast(stage filters.Stage, what string) {
	if stage > s.least {
		s.least, s.blame = stage, what
	}
}

// Fields that other rules fill.
const (
	fieldScore = "score"
	fieldTags  = "tags"
)

// awaitGiven lets a rule that asks for scores or tags wait for the rules in
// front of it that give them.
func (c *compiler) awaitGiven(r *rule, at ast.Node, s *staging) {
	for _, name := range s.given {
		if stage, ok := c.given[name]; ok {
			s.eager = max(s.eager, stage)
			continue
		}
		c.problem(at, fmt.Sprintf("%s: no rule in front of it gives %s", r.name, map[string]string{fieldScore: "a score", fieldTags: "tags"}[name]), "put it behind those that do")
	}
}

// gives notes at which stage scores and tags are given.
func (c *compiler) gives(r *rule) {
	if r.observe {
		return
	}
	if r.then.score != 0 {
		c.given[fieldScore] = max(c.given[fieldScore], r.stage)
	}
	if len(r.then.tags) > 0 {
		c.given[fieldTags] = max(c.given[fieldTags], r.stage)
	}
}

// stage returns where the rule is asked, and holds at to be late enough.
func (c *compiler) stage(r *rule, conf *Rule, s *staging) filters.Stage {
	c.awaitGiven(r, conf.Name.at, s)
	stage := max(s.least, s.eager)
	whole := r.then.action == filters.Discard || r.then.action == filters.Quarantine || r.then.edits()
	if whole && stage == filters.Rcpt {
		stage = filters.Data
	}
	if r.then.edits() {
		s.atLeast(filters.Data, "the message to edit")
		if len(r.then.remove)+len(r.then.replace) > 0 {
			s.atLeast(filters.EOH, "the header section to edit")
		}
		stage = max(stage, s.least)
	}
	if conf.At.at == nil {
		return stage
	}
	at := filters.Stage(slices.IndexFunc(filters.AllStages.Each(), func(st filters.Stage) bool { return st.String() == conf.At.Text }))
	switch {
	case at < s.least:
		c.problem(conf.At.at, fmt.Sprintf("%s: at %s is too early: %s is not known before %v", r.name, conf.At.Text, s.blame, s.least), fmt.Sprintf("write at: %v, or leave at out", max(stage, s.least)))
		return stage
	case at == filters.Rcpt && whole:
		c.problem(conf.At.at, fmt.Sprintf("%s: at rcpt is too early: %s concerns the message for all its recipients", r.name, r.then.String()), "write at: data, or leave at out")
		return stage
	}
	return at
}
