package configs_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mailweir/mailweir/configs"
	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/standard"
	"github.com/mailweir/mailweir/rules"
)

// isConfig tells a configuration from a rule file.
var isConfig = regexp.MustCompile(`(?m)^(listeners|chain):`)

// TestExamples loads what we tell people to write: configurations, each with the
// rule files that it names.
func TestExamples(t *testing.T) {
	for _, file := range examples(t, true) {
		t.Run(file, func(t *testing.T) {
			c, err := configs.Load(standard.Kinds(), configs.Source{File: file})
			if err != nil {
				t.Fatal(err)
			}
			build(t, c)
		})
	}
}

// TestExampleRules plays the tests of rule files. Without any one of its rules a
// file does not pass them.
func TestExampleRules(t *testing.T) {
	for _, file := range examples(t, false) {
		t.Run(file, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			p, wrong := playRules(file, text)
			for _, w := range wrong {
				t.Error(w)
			}
			if t.Failed() {
				return
			}
			for _, w := range p.Warnings() {
				t.Error(w)
			}
			for _, r := range p.Coverage() {
				if _, wrong := playRules(file, without(t, text, r.Name)); len(wrong) == 0 {
					t.Errorf("the tests pass without the rule %s", r.Name)
				}
			}
		})
	}
}

// playRules plays the tests of a rule file; it returns what went wrong.
func playRules(file string, text []byte) (*rules.Policy, []string) {
	var facts []filters.FactInfo
	for _, kind := range standard.Kinds() {
		facts = append(facts, kind.Sets...)
	}
	p, err := rules.Parse(rules.Options{Facts: facts}, file, filepath.Dir(file), text)
	if err != nil {
		return nil, []string{err.Error()}
	}
	var wrong []string
	for i := range p.Tests() {
		test := &p.Tests()[i]
		o, err := p.Play(context.Background(), test, filepath.Dir(file))
		if err != nil {
			return p, append(wrong, test.Name.Text+": "+err.Error())
		}
		for _, w := range test.Want.Compare(o) {
			wrong = append(wrong, test.Name.Text+": "+w)
		}
	}
	return p, wrong
}

// without is a rule file without one of its rules.
func without(t *testing.T, text []byte, rule string) []byte {
	t.Helper()
	begin := regexp.MustCompile(`(?m)^ *- name: `+rule+`\n`).FindAllIndex(text, -1)
	if len(begin) != 1 {
		t.Fatalf("where is the rule %s?", rule)
	}
	from, end := begin[0][0], begin[0][1]
	indent := len(text[from:end]) - len(bytes.TrimLeft(text[from:end], " "))
	for end < len(text) {
		line, _, _ := bytes.Cut(text[end:], []byte("\n"))
		if rest := bytes.TrimLeft(line, " "); len(rest) > 0 && len(line)-len(rest) <= indent {
			break
		}
		end += len(line) + 1
	}
	return slices.Concat(text[:from], text[min(end, len(text)):])
}

// examples returns the configurations among the examples, or the rule files.
func examples(t *testing.T, config bool) []string {
	t.Helper()
	var files []string
	for _, file := range yamlBelow(t, "examples") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if isConfig.Match(text) == config {
			files = append(files, file)
		}
	}
	if len(files) < 5 {
		t.Fatal(files)
	}
	return files
}

// yamlBlock is a block of configuration in Markdown.
var yamlBlock = regexp.MustCompile("(?ms)^```yaml\n((?:hostname|listeners|chain):.*?)^```$")

// rulesBlock is a block with a rule file.
var rulesBlock = regexp.MustCompile("(?ms)^```yaml\n(# rules\n.*?)^```$")

// TestDocs loads the blocks of YAML in the docs. Those that begin with # rules are
// rule files, and pass their tests.
func TestDocs(t *testing.T) {
	files := append(glob(t, "../cmd/mailweir/docs/*.md"), glob(t, "../README.md")...)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		config, policy := yamlBlock.FindAllSubmatch(text, -1), rulesBlock.FindAllSubmatch(text, -1)
		if all := bytes.Count(text, []byte("```yaml\n")); all != len(config)+len(policy) {
			t.Errorf("%s: of %d blocks of YAML %d are known: begin with hostname, listeners or chain, or with # rules", file, all, len(config)+len(policy))
		}
		for _, block := range config {
			if _, err := configs.Parse(standard.Kinds(), file, []byte(whole(string(block[1])))); err != nil {
				t.Errorf("%s: in\n%s\n%v", file, block[1], err)
			}
		}
		for _, block := range policy {
			if _, wrong := playRules(file, block[1]); wrong != nil {
				t.Errorf("%s: in\n%s\n%s", file, block[1], strings.Join(wrong, "\n"))
			}
		}
	}
}

// TestManuals loads the examples in the kinds' manuals.
func TestManuals(t *testing.T) {
	for _, kind := range standard.Kinds() {
		_, rest, ok := strings.Cut(kind.Doc, "\nExample:\n\n")
		if !ok {
			t.Errorf("%s: its manual has no example", kind.Name)
			continue
		}
		example, _, _ := strings.Cut(rest, "\n\n")
		if _, err := configs.Parse(standard.Kinds(), kind.Name, []byte(whole("chain:\n"+example+"\n"))); err != nil {
			t.Errorf("%s: %v", kind.Name, err)
		}
	}
}

// listener completes what shows a chain alone.
const listener = `listeners:
  - {name: mx, address: ":25", upstream: {address: "127.0.0.1:10025"}}
`

func whole(block string) string {
	if strings.Contains(block, "listeners:\n") {
		return block
	}
	return block + listener
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return files
}
