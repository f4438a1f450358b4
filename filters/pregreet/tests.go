package pregreet

import "github.com/mailweir/mailweir/filters"

// test is one of the tests.
type test uint8

// The tests, in the order in which the memory keeps them.
const (
	earlyTalk test = iota
	pipelining
	nonSMTP
	bareLF
	numTests
)

var testNames = [numTests]string{"early_talk", "pipelining", "non_smtp", "bare_lf"}

// String returns the test's name, which is the reason of its findings.
func (t test) String() string { return testNames[t] }

// testOf returns the test that a breach fails.
func testOf(b filters.Breach) test {
	switch b {
	case filters.Pipelined:
		return pipelining
	case filters.NotSMTP:
		return nonSMTP
	}
	return bareLF
}

// replies to those who fail a test. What is not SMTP is no client's that would
// come to be told later: 521 ends the session at once (RFC 7504).
var replies = [numTests]filters.Reply{
	earlyTalk:  {Code: 550, Enh: [3]uint16{5, 5, 1}, Text: "Protocol error: you talked before you were greeted"},
	pipelining: {Code: 550, Enh: [3]uint16{5, 5, 1}, Text: "Protocol error: you did not wait for a reply where you must"},
	nonSMTP:    {Code: 521, Enh: [3]uint16{5, 5, 1}, Text: "Protocol error: this is SMTP, and you speak something else"},
	bareLF:     {Code: 550, Enh: [3]uint16{5, 5, 1}, Text: "Protocol error: lines must end with CR LF"},
}

// tests is a set of them.
type tests uint8

func (set tests) has(t test) bool      { return set&(1<<t) != 0 }
func (set tests) with(t test) tests    { return set | 1<<t }
func (set tests) without(t test) tests { return set &^ (1 << t) }
