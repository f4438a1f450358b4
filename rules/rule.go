package rules

import (
	"sync/atomic"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/rules/strict"
)

// rule is a compiled rule.
type rule struct {
	number  int // in the file
	name    string
	doc     string
	pos     strict.Pos
	set     *set // nil for those under rules
	stage   filters.Stage
	match   []*matcher
	unless  []*matcher
	when    *expression
	then    effect
	observe bool
	goesOn  bool // continue: true
	partly  bool // some of what must hold could not be read
	matched atomic.Uint64
}

// effect is what a rule does.
type effect struct {
	action  filters.Action // Continue for none
	ignore  bool           // ends the rules without a verdict
	reply   filters.Reply  // its text is filled in from text
	text    *template      // nil for none
	fixed   *filters.Verdict
	seen    *filters.Verdict // the same, only observed
	add     []edit
	replace []edit
	remove  []string
	tags    []string
	score   int
	delay   time.Duration
	to      string // redirect
	also    []string
}

// edit is a header field to write.
type edit struct {
	name  string
	value *template
}

// judges reports whether the rule has a verdict, or ends the rules.
func (t *effect) judges() bool { return t.action != filters.Continue || t.ignore }

// edits reports whether it changes the message or its envelope.
func (t *effect) edits() bool {
	return len(t.add)+len(t.replace)+len(t.remove)+len(t.also) > 0 || t.to != ""
}

// refuses reports whether the message does not get through.
func (t *effect) refuses() bool {
	switch t.action {
	case filters.Reject, filters.TempFail, filters.Hangup, filters.Discard:
		return true
	}
	return false
}

// stateful reports whether the rule leaves something for later.
func (t *effect) stateful() bool {
	return len(t.tags) > 0 || t.score != 0
}

// final reports whether no rule behind it is asked once it has matched.
func (r *rule) final() bool { return r.then.judges() && !r.goesOn && !r.observe }

// verdict makes the verdict of a rule that has matched.
func (r *rule) verdict(e *evaluation) (filters.Verdict, error) {
	if r.then.fixed != nil {
		if r.observe {
			return *r.then.seen, nil
		}
		return *r.then.fixed, nil
	}
	text, err := r.then.text.fill(e)
	if err != nil {
		return filters.Verdict{}, err
	}
	return r.finding(text, r.observe), nil
}

func (r *rule) finding(text string, observed bool) filters.Verdict {
	reply := r.then.reply
	reply.Text = text
	return filters.Verdict{Action: r.then.action, Finding: &filters.Finding{Reply: reply, Reason: r.name, Observed: observed}}
}

// settle prepares the verdict of a rule whose text has no fields.
func (r *rule) settle() {
	if r.then.action == filters.Continue {
		return
	}
	if text, ok := r.then.text.fixed(); ok {
		v, o := r.finding(text, false), r.finding(text, true)
		r.then.fixed, r.then.seen = &v, &o
	}
}

// set is rules for some recipients, listeners, or both.
type set struct {
	name      string
	number    int
	listeners []string
	to        *matcher // of recipients; nil for all
	rules     []*rule
	content   bool // has rules about the message, after rcpt
}

// serves reports whether the set is for sessions of that listener.
func (s *set) serves(listener string) bool {
	for _, l := range s.listeners {
		if l == listener {
			return true
		}
	}
	return len(s.listeners) == 0
}

// graver orders verdicts, of which the gravest counts.
func graver(a, b filters.Action) bool { return gravity[a] > gravity[b] }

var gravity = map[filters.Action]int{
	filters.Continue:   0,
	filters.Accept:     1,
	filters.Quarantine: 2,
	filters.Discard:    3,
	filters.TempFail:   4,
	filters.Reject:     5,
	filters.Hangup:     6,
}
