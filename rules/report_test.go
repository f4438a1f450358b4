package rules_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/filtertest"
	"github.com/mailweir/mailweir/rules"
)

const explained = `
rules:
  - { name: other, match: { from.domain: other.example, client: 192.0.2.1 }, then: reject }
  - { name: spared, match: { client: 192.0.2.0/24 }, at: mail, unless: { from.local: a }, then: reject }
  - { name: when, when: 'size > 3_000_000', then: reject }
  - { name: tagged, match: { from.domain: .example.net }, then: { tag: seen } }
  - { name: found, match: { from: a@example.net, helo: "" }, then: { reject: No } }
  - { name: never, match: { from.domain: never.example }, then: reject }
`

// TestTrace holds each rule of a stage to be explained.
func TestTrace(t *testing.T) {
	p := parse(t, []byte(explained))
	var got []string
	ctx := rules.WithTrace(t.Context(), func(s rules.Step) {
		got = append(got, strings.TrimSuffix(string(s.Result)+" "+s.Rule+": "+s.Why+" -> "+s.Then, " -> "))
	})
	p.Mail(ctx, begin(t, "a@example.net"))
	want := []string{
		`no other: not from.domain: is "other.example" (it is "example.net")`,
		`no spared: unless from.local: is "a" (it is "a")`,
		`no when: not when size > 3_000_000`,
		`matched tagged: from.domain: is ".example.net" (it is "example.net") -> tag seen`,
		`matched found: from: is "a@example.net" (it is "a@example.net"); helo: is "" (it is empty) -> reject 550`,
		`skipped never: an earlier rule has decided`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestCoverage(t *testing.T) {
	p := parse(t, []byte(explained))
	for range 3 {
		p.Mail(t.Context(), begin(t, "a@example.net"))
	}
	for _, r := range p.Coverage() {
		want := uint64(0)
		if r.Name == "tagged" || r.Name == "found" {
			want = 3
		}
		if r.Matched != want || r.Stage != filters.Mail || !strings.HasPrefix(r.Pos, "speed.yaml:") {
			t.Errorf("%+v", r)
		}
	}
}

// TestTellsItsSources holds a policy to tell files and facts that it depends on.
func TestTellsItsSources(t *testing.T) {
	p, err := rules.Load(rules.Options{Dir: "testdata/right"}, "matchers.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Files(); !slices.Equal(got, []string{filepath.Join("testdata", "right", "matchers.yaml"), filepath.Join("testdata", "right", "partners.txt")}) {
		t.Error(got)
	}
	if p, err = rules.Load(rules.Options{Dir: "testdata/right"}, "expressions.yaml"); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(p.Reads(), " "); got != "dnsbl.score dnsbl.zones no.fact no.other other.fact sender.mx" {
		t.Error(got)
	}
}

func TestParseTests(t *testing.T) {
	p := parse(t, []byte(explained))
	tests, err := p.ParseTests("beside.yaml", []byte("tests:\n  - { name: t, from: a@example.net, session: { helo: \"\" }, want: { verdict: reject, rules: [found] } }\n"))
	if err != nil {
		t.Fatal(err)
	}
	o, err := p.Play(t.Context(), &tests[0], ".")
	if err != nil {
		t.Fatal(err)
	}
	if wrong := tests[0].Want.Compare(o); wrong != nil {
		t.Error(wrong)
	}
	_, err = p.ParseTests("beside.yaml", []byte("tests:\n  - { name: t, want: { rules: [fond] } }\n"))
	if err == nil || !strings.Contains(err.Error(), "beside.yaml:2:13: this test wants a rule \"fond\"") || !strings.Contains(err.Error(), "did you mean found?") {
		t.Error(err)
	}
}

// TestCompare holds each thing that a test may want to be missed.
func TestCompare(t *testing.T) {
	p := parse(t, []byte(explained))
	for _, c := range []struct{ want, miss string }{
		{"continue", "got reject by found with 550 5.7.1 No, want continue"},
		{"{ mail: { verdict: reject, reason: other } }", "mail: got reject by found with 550 5.7.1 No, want reject by other"},
		{"{ mail: { verdict: reject, code: 554 } }", "mail: got reject by found with 550 5.7.1 No, want reject with 554"},
		{"{ mail: { verdict: reject, enhanced: 5.7.2 } }", "mail: got reject by found with 550 5.7.1 No, want reject with 5.7.2"},
		{"{ mail: { verdict: reject, text: Yes } }", "mail: got reject by found with 550 5.7.1 No, want reject with Yes"},
		{"{ mail: { verdict: reject, ignored: true } }", "mail: got reject by found with 550 5.7.1 No, want reject (ignored)"},
		{"{ eom: continue }", "eom: the session ended before it"},
		{"{ rcpt: continue }", "rcpt: the session ended before it"},
		{"{ recipients: { user@example.com: continue } }", "rcpt user@example.com: it is no recipient of this test, or the session ended before"},
		{"{ rules: [other] }", "the rule other has not matched"},
		{"{ not_rules: [found] }", "the rule found has matched"},
		{"{ headers: [\"X-A: b\"] }", "the field X-A: b is missing"},
		{"{ envelope: [a@example.com] }", "the message does not go to a@example.com"},
		{"{ tags: [none, seen] }", "the tag none is missing"},
		{"{ tags: [] , score: 0, mail: continue }", "mail: got reject by found with 550 5.7.1 No, want continue; the tag seen is not wanted"},
		{"{ score: 5 }", "the score is 0, want 5"},
	} {
		tests, err := p.ParseTests("t.yaml", []byte("tests:\n  - { name: t, from: a@example.net, session: { helo: \"\" }, want: "+c.want+" }\n"))
		if err != nil {
			t.Fatal(err)
		}
		o, err := p.Play(t.Context(), &tests[0], ".")
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(tests[0].Want.Compare(o), "; "); got != c.miss {
			t.Errorf("want %s: %q, not %q", c.want, got, c.miss)
		}
	}
}

// TestFieldsAreDocumented holds the manual to have every field.
func TestFieldsAreDocumented(t *testing.T) {
	for _, f := range rules.Fields() {
		if f.Doc == "" || !strings.Contains(rules.Kind.Doc, f.Doc) {
			t.Errorf("%s: %q", f.Name, f.Doc)
		}
	}
}

// TestKind builds a filter as the chain does.
func TestKind(t *testing.T) {
	env, _ := filtertest.Env("testdata/right")
	conf := rules.Kind.Conf().(*rules.Config)
	f, err := rules.Kind.New(env, conf)
	if err != nil || filters.StagesOf(f) != 0 {
		t.Errorf("without a file: %v, %v", f, err)
	}
	conf.File = "sets.yaml"
	if f, err = rules.Kind.New(env, conf); err != nil {
		t.Fatal(err)
	}
	if got := filters.StagesOf(f).String(); got != "mail rcpt data eoh body eom" {
		t.Errorf("stages %s", got)
	}
	conf.File = "nowhere.yaml"
	if _, err := rules.Kind.New(env, conf); err == nil || !strings.Contains(err.Error(), "nowhere.yaml: no such file") {
		t.Errorf("a file that is not there: %v", err)
	}
}

// TestManualExample holds the manual's policy to do what its test wants.
func TestManualExample(t *testing.T) {
	_, rest, _ := strings.Cut(rules.Kind.Doc, "and inbound.yaml:\n\n")
	example, _, ok := strings.Cut(rest, "\n\n")
	p, err := rules.Parse(rules.Options{}, "manual", ".", []byte(strings.ReplaceAll("\n"+example, "\n    ", "\n")))
	if err != nil || !ok || len(p.Tests()) != 1 {
		t.Fatal(err)
	}
	o, err := p.Play(t.Context(), &p.Tests()[0], ".")
	if err != nil {
		t.Fatal(err)
	}
	if wrong := p.Tests()[0].Want.Compare(o); wrong != nil {
		t.Error(wrong)
	}
}
