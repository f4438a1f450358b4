package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailweir/mailweir/proxy/smtp"
	"github.com/mailweir/mailweir/rules"
)

func newTest() *cobra.Command {
	var q testQuestion
	cmd := &cobra.Command{
		Use:   "test [FILE...]",
		Short: "Run the tests of rule files",
		Long: `Test runs the tests that stand in rule files, and beside them: those of
inbound.yaml are also in inbound_test.yaml. Name either.

Files that are named are asked alone: their tests spell the facts that other
filters would have set. With --config the sessions of the tests pass the whole
chain of that configuration, with the DNS and the memory that each test spells,
and no other; a DNS list of addresses that has an entry there is in order, its
test entry need not be spelt. Without any FILE the rule files are those that the
configuration names.

Nothing is relayed, and nobody is asked. A test may take a minute.

Exit codes: 0 all is well, 1 a test has failed or a file is wrong, 2 for a wrong
command line.`,
		Example: `  mailweir test inbound.yaml
  mailweir test -v --run freemail inbound.yaml
  mailweir test --config /etc/mailweir/mailweir.yaml --coverage`,
		RunE: func(cmd *cobra.Command, files []string) error {
			if err := q.read(cmd, files); err != nil {
				return err
			}
			return q.answer(cmd)
		},
	}
	configFlags(cmd)
	flags := cmd.Flags()
	flags.BoolVarP(&q.verbose, "verbose", "v", false, "print all tests, and all rules that were asked")
	flags.BoolVar(&q.json, "json", false, "print JSON, one object a line")
	flags.BoolVar(&q.coverage, "coverage", false, "print the rules that no test has matched")
	flags.StringVar(&q.pattern, "run", "", "run only the tests whose name matches the `regexp`")
	return cmd
}

// testQuestion is what the command line asks.
type testQuestion struct {
	files         []string
	whole         bool // the chain, not the rules alone
	verbose, json bool
	coverage      bool
	pattern       string
	run           *regexp.Regexp
}

func (q *testQuestion) read(cmd *cobra.Command, files []string) (err error) {
	q.files = files
	q.whole = len(files) == 0 || cmd.Flags().Changed("config")
	if q.verbose && q.json {
		return errors.New("-v has no place with --json, which tells all")
	}
	if q.run, err = regexp.Compile(q.pattern); err != nil {
		return fmt.Errorf("--run: %w", err)
	}
	return nil
}

// testReport is told what comes of the tests, in order.
type testReport interface {
	begin(*ruleSuite, *ruleTest)
	end(*ruleSuite, *ruleTest, *testResult)
	done(*suiteResult)
	wrong(file string, err error) // it cannot be tested
}

// testResult is what came of a test.
type testResult struct {
	skipped     string   // why it was not played, "" if it was
	differences []string // none if it has passed
	asked       []asking // in order
	took        time.Duration
}

// suiteResult is what came of the tests of a rule file.
type suiteResult struct {
	*ruleSuite
	ran, failed int
	skipped     int
	rules       []rules.RuleInfo
	unmatched   []rules.RuleInfo
	took        time.Duration
}

// coverage is the share of rules that some test has matched, in percent.
func (r *suiteResult) coverage() float64 {
	return 100 * float64(len(r.rules)-len(r.unmatched)) / float64(len(r.rules))
}

// answer runs the tests.
func (q *testQuestion) answer(cmd *cobra.Command) error {
	var out testReport = &testPrinter{Writer: cmd.OutOrStdout(), question: q}
	if q.json {
		out = newTestJSON(cmd.OutOrStdout())
	}
	targets, player, err := q.targets(cmd)
	if err != nil {
		return err
	}
	failed := false
	for _, t := range targets {
		s, err := newSuite(t, player)
		if err != nil {
			out.wrong(t.file, err)
			failed = true
			continue
		}
		for _, warning := range s.policy.Warnings() {
			fmt.Fprintln(cmd.ErrOrStderr(), "warning:", warning.Error())
		}
		result := s.run(q.run, out)
		out.done(result)
		failed = failed || result.failed > 0
	}
	if failed {
		return exitCode(exitError)
	}
	return nil
}

// run runs the tests of a rule file whose name matches.
func (s *ruleSuite) run(names *regexp.Regexp, out testReport) *suiteResult {
	began := time.Now()
	result := &suiteResult{ruleSuite: s, rules: s.policy.Coverage()}
	matched := map[string]bool{}
	for i := range s.tests {
		t := &s.tests[i]
		if !names.MatchString(t.Name.Text) {
			continue
		}
		out.begin(s, t)
		r := s.play(t)
		out.end(s, t, r)
		result.count(r, matched)
	}
	for _, r := range result.rules {
		if !matched[r.Pos] {
			result.unmatched = append(result.unmatched, r)
		}
	}
	result.took = time.Since(began)
	return result
}

// count takes in what came of a test, and notes the places of the rules that have
// matched.
func (r *suiteResult) count(t *testResult, matched map[string]bool) {
	r.ran++
	switch {
	case t.skipped != "":
		r.skipped++
	case len(t.differences) > 0:
		r.failed++
	}
	for _, a := range t.asked {
		if a.Result == rules.Matched {
			matched[a.Pos] = true
		}
	}
}

// oneLine makes a text of tests and rules fit for the terminal.
func oneLine(text string) string {
	first, _, _ := strings.Cut(text, "\n")
	return smtp.Clean(first)
}
