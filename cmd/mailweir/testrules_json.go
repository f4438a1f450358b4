package main

import (
	"encoding/json"
	"io"
)

// testJSON tells programs what comes of tests: one object for each event.
type testJSON struct{ *json.Encoder }

func newTestJSON(w io.Writer) *testJSON {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return &testJSON{enc}
}

// testEvent is an event. Those of a test name it; others are about all tests of
// a file.
type testEvent struct {
	Action      string        `json:"action"` // run, pass, fail or skip
	File        string        `json:"file"`   // the rule file
	Test        string        `json:"test,omitempty"`
	At          string        `json:"at,omitempty"` // file:line of the test
	Elapsed     *float64      `json:"elapsed,omitempty"`
	Skipped     string        `json:"skipped,omitempty"` // why
	Differences []string      `json:"differences,omitempty"`
	Asked       []ruleJSON    `json:"asked,omitempty"` // of a test that has passed, only those that matched
	Tests       *testCounts   `json:"tests,omitempty"`
	Coverage    *coverageJSON `json:"coverage,omitempty"`
	Error       string        `json:"error,omitempty"` // why the file cannot be tested
}

type (
	ruleJSON struct {
		Stage  string `json:"stage"`
		To     string `json:"to,omitempty"`
		Set    string `json:"set,omitempty"`
		Rule   string `json:"rule,omitempty"`
		Filter string `json:"filter,omitempty"` // the entry of the chain, if it is no rule
		At     string `json:"at"`               // file:line:col
		Result string `json:"result,omitempty"`
		Why    string `json:"why"`
		Then   string `json:"then,omitempty"`
	}
	testCounts struct {
		Run     int `json:"run"`
		Failed  int `json:"failed"`
		Skipped int `json:"skipped"`
	}
	coverageJSON struct {
		Rules     int             `json:"rules"`
		Matched   int             `json:"matched"`
		Unmatched []unmatchedJSON `json:"unmatched"`
	}
	unmatchedJSON struct {
		Rule string `json:"rule"`
		At   string `json:"at"`
	}
)

func (j *testJSON) begin(s *ruleSuite, t *ruleTest) {
	j.Encode(testEvent{Action: "run", File: s.file, Test: t.Name.Text, At: t.place()}) // a loss shows in the shell
}

func (j *testJSON) end(s *ruleSuite, t *ruleTest, r *testResult) {
	took := r.took.Seconds()
	e := testEvent{Action: testWord(r), File: s.file, Test: t.Name.Text, At: t.place(), Elapsed: &took, Skipped: r.skipped, Differences: r.differences}
	for _, a := range r.asked {
		if e.Action == "pass" && a.idle() {
			continue
		}
		e.Asked = append(e.Asked, ruleJSON{
			Stage: a.Stage.String(), To: a.To, Set: a.Set, Rule: a.Rule, Filter: a.filter,
			At: a.Pos, Result: string(a.Result), Why: a.Why, Then: a.Then,
		})
	}
	j.Encode(e)
}

func (j *testJSON) done(r *suiteResult) {
	took := r.took.Seconds()
	e := testEvent{Action: "pass", File: r.file, Elapsed: &took, Tests: &testCounts{r.ran, r.failed, r.skipped}, Coverage: coverageOf(r)}
	if r.failed > 0 {
		e.Action = "fail"
	}
	j.Encode(e)
}

func coverageOf(r *suiteResult) *coverageJSON {
	unmatched := []unmatchedJSON{}
	for _, rule := range r.unmatched {
		unmatched = append(unmatched, unmatchedJSON{rule.Name, rule.Pos})
	}
	return &coverageJSON{len(r.rules), len(r.rules) - len(r.unmatched), unmatched}
}

func (j *testJSON) wrong(file string, err error) {
	j.Encode(testEvent{Action: "fail", File: file, Error: err.Error()})
}
