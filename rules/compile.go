package rules

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/rules/strict"
)

// compiler makes a Policy of a File, and reports what is wrong with it.
type compiler struct {
	p       *Policy
	options Options
	dir     string
	doc     *strict.Document
	report  *strict.Report
	known   map[string]*matcher // by canonical spelling
	taken   map[string]strict.Pos
	nodes   map[*rule]ast.Node
	given   map[string]filters.Stage // score and tags, by rules so far
	set     *set                     // whose rules are compiled
}

func (c *compiler) problem(n ast.Node, msg, hint string) { c.report.At(n, msg, hint) }

func (c *compiler) warn(n ast.Node, msg, hint string) {
	c.p.warnings = append(c.p.warnings, c.doc.At(strict.PosOf(n), msg, hint))
}

// compile is called once the file has been decoded, with what was right in it.
func (c *compiler) compile(f *File, r *strict.Report) {
	c.report = r
	c.known, c.taken, c.nodes = map[string]*matcher{}, map[string]strict.Pos{}, map[*rule]ast.Node{}
	c.given = map[string]filters.Stage{}
	for i := range f.Lists.items {
		c.list(&f.Lists.items[i])
	}
	top := c.rules(f.Rules)
	for i := range f.Sets.items {
		c.compileSet(&f.Sets.items[i])
	}
	for _, it := range f.Lists.items {
		if l := c.p.lists[it.name]; l != nil && !l.used {
			c.warn(it.at, fmt.Sprintf("no rule uses the list %s", it.name), "")
		}
	}
	c.reachable(top)
	for _, s := range c.p.sets {
		c.reachable(s.rules)
	}
	c.tests(f.Tests)
	c.p.tests = f.Tests
	c.plan(top, f.Mix)
}

// plan sorts the rules by stage and finds out what they take.
func (c *compiler) plan(top []*rule, mix bool) {
	p := c.p
	for _, stage := range []filters.Stage{filters.Connect, filters.Helo, filters.Mail, filters.Rcpt, filters.Data, filters.EOH, filters.EOM} {
		if p.plans[stage] = newPlan(stage, top, p.sets); p.plans[stage] != nil {
			p.stages |= filters.StageSet(stage)
		}
	}
	p.chooser = newChooser(p.sets)
	for _, s := range p.sets {
		p.splits = p.splits || s.to != nil && s.content && !mix
	}
	if p.splits {
		p.stages |= filters.StageSet(filters.Rcpt)
	}
	for _, r := range p.rules {
		c.takes(r)
	}
	if p.readsBody || p.readsParts {
		p.stages |= filters.StageSet(filters.Body)
		p.stateful = true
	}
	p.matchersOf = map[int][]int{}
	for _, m := range c.known {
		p.matchersOf[m.slot] = append(p.matchersOf[m.slot], m.id)
	}
	p.matchers = len(c.known)
}

// takes notes what a rule takes from front end and state.
func (c *compiler) takes(r *rule) {
	p, t := c.p, &r.then
	p.stateful = p.stateful || t.stateful() || t.ignore || t.delay > 0 || t.to != ""
	if r.stage >= filters.EOH {
		p.stages |= filters.StageSet(filters.EOH) // so that the front end keeps the header section
	}
	if r.observe {
		return
	}
	if len(t.add)+len(t.replace)+len(t.remove) > 0 {
		p.needs |= filters.EditHeader
	}
	if len(t.also) > 0 || t.to != "" {
		p.needs |= filters.EditRcpt
	}
	if t.action == filters.Quarantine {
		p.needs |= filters.DoQuarantine
	}
}

// rules compiles rules in their order.
func (c *compiler) rules(list []Rule) []*rule {
	var all []*rule
	for i := range list {
		if r := c.rule(&list[i]); r != nil {
			all = append(all, r)
		}
	}
	return all
}

// rule compiles one rule; nil if it has no name to speak of it.
func (c *compiler) rule(conf *Rule) *rule {
	at := conf.Name.at
	if at == nil {
		return nil
	}
	r := &rule{number: len(c.p.rules), name: conf.Name.Text, doc: conf.Doc, pos: strict.PosOf(at), set: c.set, goesOn: conf.Continue, observe: conf.Action == "ignore"}
	c.nodes[r] = at
	c.name(r, at)
	s := &staging{least: filters.Connect}
	if c.set != nil && c.set.to != nil {
		s.atLeast(filters.Rcpt, "the recipient, by which the set "+c.set.name+" is chosen,")
	}
	var all, none bool
	r.match, all = c.matchers(conf.Match, "match", s)
	r.unless, none = c.matchers(conf.Unless, "unless", s)
	when := c.when(conf.When, s)
	r.partly = !all || !none || when == nil && conf.When.at != nil
	c.then(r, conf.Then, s)
	if r.goesOn && !r.then.judges() && conf.Then.n != nil {
		c.problem(at, fmt.Sprintf("%s: continue makes no difference to a rule without a verdict", r.name), "leave it out")
	}
	r.stage = c.stage(r, conf, s)
	c.gives(r)
	if when != nil {
		x, err := when.compile(r.stage)
		if err != nil {
			c.problem(c.within(conf.When.at, conf.When.Text, lineStart(conf.When.Text, err.line)+err.col-1), "when: "+err.msg, cmpHint(err))
			r.partly = true
			return r
		}
		for _, ref := range x.fields {
			x.slots = append(x.slots, c.slot(ref))
		}
		r.when = x
	}
	r.settle()
	c.p.rules = append(c.p.rules, r)
	return r
}

// cmpHint says what may be meant by an expression that compares unlike things.
func cmpHint(e *expressionError) string {
	if e.hint == "" && strings.Contains(e.msg, "[]string") {
		return `the field has several values here: write any(header.Subject, # == "...") or "..." in header.Subject`
	}
	return e.hint
}

// name checks the name of a rule.
func (c *compiler) name(r *rule, at ast.Node) {
	if !isSlug(r.name) {
		c.problem(at, fmt.Sprintf("name: %s is no name for a rule", quote(r.name)), nameHint)
	}
	if r.name == elsewhere.Finding.Reason || r.name == "error" {
		c.problem(at, fmt.Sprintf("name: %s is a reason of mailweir's own", r.name), "choose another")
	}
	if first, ok := c.taken[r.name]; ok {
		c.problem(at, fmt.Sprintf("name: a second rule named %s", r.name), fmt.Sprintf("the first is in line %d", first.Line))
		return
	}
	c.taken[r.name] = r.pos
}

// matchers compiles what stands under match or unless, and reports whether that
// is all of it.
func (c *compiler) matchers(raw Raw, key string, s *staging) (list []*matcher, whole bool) {
	if raw.n == nil {
		return nil, true
	}
	entries, ok := raw.d.Entries(raw.n, key)
	if !ok {
		return nil, false
	}
	for _, e := range entries {
		ref := c.p.fields.find(e.Key)
		if ref == nil {
			c.problem(e.At, fmt.Sprintf("%s: unknown field %q", key, e.Key), c.fieldHint(e.Key))
			continue
		}
		s.mention(ref)
		n, ok := raw.d.Resolve(e.Value)
		if !ok {
			continue
		}
		if strict.IsNull(n) {
			c.problem(e.At, e.Key+" has no value", `write "" for a field that is empty`)
			continue
		}
		if m := c.matcher(raw.d, ref, n, e.Key); m != nil {
			list = append(list, m)
		}
	}
	sortMatchers(list)
	return list, len(list) == len(entries)
}

// slot gives a field its place in evaluations.
func (c *compiler) slot(ref *fieldRef) int {
	p := c.p
	if at, ok := p.slotOf[ref.spelt]; ok {
		return at
	}
	at := len(p.slots)
	p.slotOf[ref.spelt] = at
	p.slots = append(p.slots, ref)
	switch ref.family() {
	case "":
		p.readsBody = p.readsBody || ref.Name == "body"
		p.readsParts = p.readsParts || strings.HasPrefix(ref.Name, "attachment.")
	}
	return at
}

// when reads an expression as far as its fields.
func (c *compiler) when(w Word, s *staging) *reader {
	if w.at == nil {
		return nil
	}
	lists := func(name string) *list {
		l := c.p.lists[name]
		if l != nil {
			l.used = true
		}
		return l
	}
	r, err := parseWhen(w.Text, c.p.fields, lists, c.fieldHint)
	if err != nil {
		hint := err.hint
		if c.cutOff(w.at) {
			hint = "write it in single quotes: to YAML, # begins a comment here"
		}
		c.problem(c.within(w.at, w.Text, lineStart(w.Text, err.line)+err.col-1), "when: "+err.msg, hint)
		return nil
	}
	for _, ref := range r.order {
		s.mention(ref)
	}
	return r
}

// cutOff reports whether a text without quotes ends in a comment.
func (c *compiler) cutOff(n ast.Node) bool {
	text, ok := n.(*ast.StringNode)
	if !ok || text.Token.Type != token.StringType {
		return false
	}
	source := c.doc.At(strict.PosOf(n), "", "").Source
	_, after, found := strings.Cut(source, text.Value)
	return found && strings.HasPrefix(strings.TrimLeft(after, " \t"), "#")
}

// quote shows a text of the file, cut when it is long.
func quote(s string) string { return strconv.Quote(cut(s, 60)) }

// Options are what the host tells of itself.
type Options struct {
	Dir       string             // relative file names start here
	Log       *slog.Logger       // nil for none
	Facts     []filters.FactInfo // what the filters of the chain set; nil if that is not known
	Listeners []string           // the names there are; nil if that is not known
	Env       filters.Env        // for counters
}

// Load reads and compiles a rule file, by the name of Options.Dir if it is
// relative. Its error is a strict.Problems with all that is wrong.
func Load(o Options, file string) (*Policy, error) {
	path := file
	if !filepath.IsAbs(path) {
		path = filepath.Join(o.Dir, file)
	}
	data, err := readFile(path)
	if err != nil {
		return nil, strict.Problems{{Msg: err.Error(), Hint: "name the rule file, relative to the configuration file"}}
	}
	p, err := Parse(o, path, filepath.Dir(path), data)
	if err != nil {
		return nil, err
	}
	p.files = append([]string{path}, p.files...)
	return p, nil
}
