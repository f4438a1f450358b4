package rules

import (
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/rules/strict"
)

// Policy is a rule file, compiled. It is a filter, and safe for concurrent use.
type Policy struct {
	file     string
	log      *slog.Logger
	files    []string
	warnings strict.Problems
	tests    []Test

	fields     *fieldSet
	lists      map[string]*list
	rules      []*rule // of the file, those of sets included
	sets       []*set
	plans      [filters.EOM + 1]*plan
	chooser    *chooser
	slots      []*fieldRef
	slotOf     map[string]int // by canonical spelling
	matchersOf map[int][]int  // by slot
	matchers   int

	stages     filters.Stages
	needs      filters.Needs
	stateful   bool // rules leave something for later ones
	splits     bool // recipients with other content rules are sent to another transaction
	readsBody  bool
	readsParts bool

	ofSession     filters.Fact[*sessionState]
	ofTransaction filters.Fact[*state]
	matches       filters.Counter
	failures      filters.Counter
	pool          sync.Pool
}

// Facts that rules set, for later filters.
var (
	Score = filters.NewFact[int]("rules.score", "the sum of the scores that rules have given so far")
	Tags  = filters.NewFact[[]string]("rules.tags", "the tags that rules have given so far")
)

// publish tells other filters.
func (e *evaluation) publish(st *state) {
	var h filters.Holder = e.s
	if e.t != nil {
		h = e.t
	}
	Score.Set(h, st.score)
	Tags.Set(h, append([]string(nil), st.tags...))
}

// File returns the name of the rule file.
func (p *Policy) File() string { return p.file }

// Files returns the names of the files that the policy was made of: the rule
// file and those of its lists.
func (p *Policy) Files() []string { return p.files }

// Reads returns the names of the facts that the rules mention, sorted.
func (p *Policy) Reads() []string {
	var facts []string
	for _, ref := range p.slots {
		switch {
		case ref.Type == Free:
			facts = append(facts, ref.arg)
		case isLearnt(ref):
			facts = append(facts, ref.Name)
		}
	}
	slices.Sort(facts)
	return slices.Compact(facts)
}

// Warnings returns what is odd in the file and yet no error, such as a list
// that no rule uses.
func (p *Policy) Warnings() strict.Problems { return p.warnings }

// Tests returns the tests that stand in the file.
func (p *Policy) Tests() []Test { return p.tests }

// RuleInfo is a rule as reports show it.
type RuleInfo struct {
	Set     string // "" for those under rules
	Name    string
	Doc     string
	Pos     string // file:line:col
	Stage   filters.Stage
	Then    string
	Delay   time.Duration // for which it lets the client wait
	Observe bool
	Matched uint64 // how often since the policy was loaded
}

// Coverage returns all rules in the order of the file, with how often each has
// matched.
func (p *Policy) Coverage() []RuleInfo {
	list := make([]RuleInfo, len(p.rules))
	for i, r := range p.rules {
		list[i] = RuleInfo{Name: r.name, Doc: r.doc, Pos: p.place(r), Stage: r.stage, Then: r.then.String(), Delay: r.then.delay, Observe: r.observe, Matched: r.matched.Load()}
		if r.set != nil {
			list[i].Set = r.set.name
		}
	}
	return list
}

// place returns where a rule stands.
func (p *Policy) place(r *rule) string { return fmt.Sprintf("%s:%d:%d", p.file, r.pos.Line, r.pos.Col) }
