package rules

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/mailweir/mailweir/filters"
)

// Step tells what became of one rule at one stage.
type Step struct {
	Policy string // the file
	Stage  filters.Stage
	To     string // the recipient in question, at rcpt
	Set    string // "" for rules
	Rule   string
	Pos    string // file:line:col
	Result Result
	Why    string        // which matcher decided, with what the field was
	Then   string        // what the rule says, if it matched
	Took   time.Duration // to decide it
}

// Result is what became of a rule.
type Result string

// The results.
const (
	Matched Result = "matched"
	Not     Result = "no"      // some matcher does not hold
	Skipped Result = "skipped" // an earlier rule has ended the evaluation
	Broken  Result = "failed"  // it could not be decided
)

type traceKey struct{}

// WithTrace returns a context under which policies report each rule they ask,
// to do, in order. Rules that the index passes over are reported as well. Nobody
// is kept waiting under it: delays are told, and not made.
func WithTrace(ctx context.Context, do func(Step)) context.Context {
	return context.WithValue(ctx, traceKey{}, do)
}

func tracer(ctx context.Context) func(Step) {
	do, _ := ctx.Value(traceKey{}).(func(Step))
	return do
}

// walkTraced is walk for those who want to know.
func (e *evaluation) walkTraced(p *plan, s segment) error {
	for i := s.from; i < s.end; i++ {
		r := p.rules[i]
		if e.passed {
			e.report(r, Skipped, "an earlier rule has decided")
			continue
		}
		e.began = time.Now()
		ok, why, err := r.explain(e)
		if err == nil && ok {
			e.report(r, Matched, why)
			err = e.apply(r)
		} else if err == nil {
			e.report(r, Not, why)
		}
		if err != nil {
			e.report(r, Broken, err.Error())
			return e.failed(r, err)
		}
	}
	return nil
}

func (e *evaluation) report(r *rule, result Result, why string) {
	step := Step{
		Policy: e.p.file,
		Stage:  e.stage,
		Rule:   r.name,
		Pos:    e.p.place(r),
		Result: result,
		Why:    why,
	}
	if !e.began.IsZero() {
		step.Took = time.Since(e.began)
		e.began = time.Time{}
	}
	if r.set != nil {
		step.Set = r.set.name
	}
	if e.to != nil {
		step.To = e.to.String()
	}
	if result == Matched {
		step.Then = r.then.String()
		if r.observe {
			step.Then += " (ignored)"
		}
	}
	e.trace(step)
}

// explain is holds, and tells why.
func (r *rule) explain(e *evaluation) (ok bool, why string, err error) {
	for _, m := range r.match {
		if !m.holds(e) {
			return false, "not " + m.describe(e), e.takeError()
		}
	}
	for _, m := range r.unless {
		if m.holds(e) {
			return false, "unless " + m.describe(e), nil
		}
		if err := e.takeError(); err != nil {
			return false, "", err
		}
	}
	if r.when != nil {
		ok, err := r.when.run(e)
		if err != nil || !ok {
			return false, "not when " + r.when.source, err
		}
	}
	var all []string
	for _, m := range r.match {
		all = append(all, m.describe(e))
	}
	if r.when != nil {
		all = append(all, "when "+r.when.source)
	}
	if len(all) == 0 {
		return true, "it matches always", nil
	}
	return true, strings.Join(all, "; "), nil
}

// describe spells the matcher and what the field is.
func (m *matcher) describe(e *evaluation) string {
	r := e.read(m.slot)
	found := r.show()
	if found == "" {
		found = "empty"
	}
	return fmt.Sprintf("%s: %s (it is %s)", m.field.spelt, m.source, found)
}

// String spells what the rule does, in words of the rule file.
func (t *effect) String() string {
	var words []string
	add := func(format string, args ...any) { words = append(words, fmt.Sprintf(format, args...)) }
	switch {
	case t.ignore:
		add("ignore")
	case t.action != filters.Continue && t.reply.Code != 0:
		add("%v %d", t.action, t.reply.Code)
	case t.action != filters.Continue:
		add("%v", t.action)
	}
	for _, f := range t.add {
		add("add_header %s", f.name)
	}
	for _, f := range t.replace {
		add("replace_header %s", f.name)
	}
	for _, name := range t.remove {
		add("remove_header %s", name)
	}
	if len(t.tags) > 0 {
		add("tag %s", strings.Join(t.tags, " "))
	}
	if t.score != 0 {
		add("score %d", t.score)
	}
	if t.delay != 0 {
		add("delay %v", t.delay)
	}
	if t.to != "" {
		add("redirect %s", t.to)
	}
	for _, to := range t.also {
		add("add_recipient %s", to)
	}
	return strings.Join(words, ", ")
}
