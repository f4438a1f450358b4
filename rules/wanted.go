package rules

import (
	"fmt"
	"slices"

	"github.com/mailweir/mailweir/rules/strict"
)

// tests holds the tests to speak of what there is.
func (c *compiler) tests(list []Test) {
	taken := map[string]strict.Pos{}
	for i := range list {
		t := &list[i]
		at := t.Name.at
		if at == nil {
			continue
		}
		if first, ok := taken[t.Name.Text]; ok {
			c.problem(at, fmt.Sprintf("name: a second test named %s", quote(t.Name.Text)), fmt.Sprintf("the first is in line %d", first.Line))
		}
		taken[t.Name.Text] = strict.PosOf(at)
		if _, err := t.NewSession(); err != nil {
			c.problem(at, fmt.Sprintf("the session of this test: %v", err), "")
		}
		for _, name := range slices.Concat(t.Want.Rules, t.Want.NotRules) {
			if _, ok := c.taken[name]; !ok {
				c.problem(at, fmt.Sprintf("this test wants a rule %s, which there is not", quote(name)), strict.Suggest(name, c.ruleNames()))
			}
		}
		for to := range t.Want.Recipients {
			if !slices.ContainsFunc(t.To, func(s string) bool { return ParsePath(s).String() == to }) {
				c.problem(at, fmt.Sprintf("this test wants something of %s, which is none of its recipients", quote(to)), "add it to: to")
			}
		}
	}
}

func (c *compiler) ruleNames() []string {
	var list []string
	for name := range c.taken {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

// Place returns where the test stands: line and column.
func (t *Test) Place() (line, col int) {
	if t.Name.at == nil {
		return 0, 0
	}
	pos := strict.PosOf(t.Name.at)
	return pos.Line, pos.Col
}

// TestFile is a file of tests for rules that stand in another.
type TestFile struct {
	Tests []Test `yaml:"tests" required:"true" doc:"sessions with the verdicts they are to meet"`

	check func([]Test, *strict.Report)
}

// Check holds the tests to speak of what there is.
func (f *TestFile) Check(r *strict.Report) {
	if f.check != nil {
		f.check(f.Tests, r)
	}
}

// ParseTests reads a file of tests for the policy. name stands for it in
// messages. Its error is a strict.Problems.
func (p *Policy) ParseTests(name string, data []byte) ([]Test, error) {
	doc, problems := strict.Parse(name, data)
	if problems != nil {
		return nil, problems.Err()
	}
	names := map[string]strict.Pos{}
	for _, r := range p.rules {
		names[r.name] = r.pos
	}
	f := TestFile{check: func(list []Test, r *strict.Report) {
		c := &compiler{p: p, report: r, taken: names}
		c.tests(list)
	}}
	if err := doc.Decode(&f).Err(); err != nil {
		return nil, err
	}
	return f.Tests, nil
}
