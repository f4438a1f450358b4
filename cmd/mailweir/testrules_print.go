package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/mailweir/mailweir/rules"
)

// testPrinter tells people what comes of tests, as go test does.
type testPrinter struct {
	io.Writer
	question *testQuestion
}

func (p *testPrinter) begin(_ *ruleSuite, t *ruleTest) {
	if p.question.verbose {
		fmt.Fprintf(p, "=== RUN   %s\n", oneLine(t.Name.Text))
	}
}

func (p *testPrinter) end(_ *ruleSuite, t *ruleTest, r *testResult) {
	word := testWord(r)
	if word == "pass" && !p.question.verbose {
		return
	}
	fmt.Fprintf(p, "--- %s: %s (%s)\n", strings.ToUpper(word), oneLine(t.Name.Text), seconds(r.took))
	if r.skipped != "" {
		fmt.Fprintf(p, "    %s: %s\n", t.place(), r.skipped)
	}
	for _, d := range r.differences {
		p.printDifference(t, d)
	}
	p.printAsked(r)
}

// testWord is what came of a test, in a word.
func testWord(r *testResult) string {
	switch {
	case r.skipped != "":
		return "skip"
	case len(r.differences) > 0:
		return "fail"
	}
	return "pass"
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2fs", d.Seconds()) }

// printDifference prints what is not as wanted; the stack of a panic has more
// lines.
func (p *testPrinter) printDifference(t *ruleTest, text string) {
	first, more, _ := strings.Cut(text, "\n")
	fmt.Fprintf(p, "    %s: %s\n", t.place(), oneLine(first))
	for line := range strings.Lines(more) {
		fmt.Fprintf(p, "        %s\n", oneLine(strings.ReplaceAll(line, "\t", "    ")))
	}
}

// mostUnmatched is how many rules that do not match are printed without -v.
const mostUnmatched = 20

// printAsked prints what rules did: after a failure those that matched, and the
// first of those that did not; with -v all.
func (p *testPrinter) printAsked(r *testResult) {
	w := tabwriter.NewWriter(p, 0, 0, 2, ' ', 0)
	defer w.Flush()
	unmatched := 0
	for _, a := range r.asked {
		if a.idle() && !p.question.verbose {
			if unmatched++; unmatched > mostUnmatched {
				continue
			}
		}
		fmt.Fprintf(w, "        %s\t%s\t%s\n", oneLine(stageText(a)), a.name(), oneLine(a.text()))
	}
	if left := unmatched - mostUnmatched; left > 0 {
		fmt.Fprintf(w, "        (and %s that did not match: -v prints them)\n", count(left, "answer"))
	}
}

// idle reports whether nothing came of it.
func (a asking) idle() bool {
	return a.filter == "" && (a.Result == rules.Not || a.Result == rules.Skipped)
}

func stageText(a asking) string { return strings.TrimSpace(a.Stage.String() + " " + a.To) }

// name is that of the rule, with its set, or of the entry of the chain.
func (a asking) name() string {
	switch {
	case a.filter != "":
		return "filter " + a.filter
	case a.Set != "":
		return a.Set + "/" + a.Rule
	}
	return a.Rule
}

// text is what came of it.
func (a asking) text() string {
	switch {
	case a.filter != "":
		return a.Why
	case a.Then != "":
		return fmt.Sprintf("%s: %s -> %s", a.Result, a.Why, a.Then)
	}
	return fmt.Sprintf("%s: %s", a.Result, a.Why)
}

func (p *testPrinter) done(r *suiteResult) {
	if len(r.rules) > 0 && r.ran > r.skipped {
		fmt.Fprintf(p, "coverage: %.1f%% of rules\n", r.coverage())
		p.printUnmatched(r)
	}
	word := "ok"
	if r.failed > 0 {
		word = "FAIL"
	}
	fmt.Fprintf(p, "%-5s %s  %s%s\n", word, r.file, seconds(r.took), r.remarks())
}

// remarks are what is special about it.
func (r *suiteResult) remarks() string {
	switch {
	case r.ran == 0:
		return "  [no tests to run]"
	case r.skipped > 0:
		return fmt.Sprintf("  [%d skipped]", r.skipped)
	}
	return ""
}

func (p *testPrinter) printUnmatched(r *suiteResult) {
	if !p.question.coverage && !p.question.verbose {
		return
	}
	for _, rule := range r.unmatched {
		fmt.Fprintf(p, "    %s: no test has matched %s\n", rule.Pos, rule.Name)
	}
}

func (p *testPrinter) wrong(file string, err error) {
	fmt.Fprintf(p, "%v\n%-5s %s  [it cannot be tested]\n", err, "FAIL", file)
}
