package filters_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/mailweir/mailweir/filters"
)

func TestFindings(t *testing.T) {
	s := &filters.Session{}
	tx := &filters.Transaction{Session: s}
	if tx.Findings() != nil {
		t.Errorf("findings of nobody: %v", tx.Findings())
	}
	note := func(n filters.Noted) { tx.Note(n) }
	note(filters.Noted{Filter: "rcpt", Stage: filters.Rcpt, Reason: "no", Action: filters.Reject})
	note(filters.Noted{Filter: "rcpt", Stage: filters.Rcpt, Reason: "no", Action: filters.Reject})
	note(filters.Noted{Filter: "helo", Stage: filters.Helo, Reason: "odd", Action: filters.Reject, Ignored: true})
	note(filters.Noted{Filter: "dnsbl", Stage: filters.Connect, Reason: "error", Action: filters.Continue})
	all := "[helo:odd(ignored) dnsbl:error(continue) rcpt:no(reject)]"
	if got := fmt.Sprint(tx.Findings()); got != all {
		t.Errorf("findings %s, want %s", got, all)
	}
	for _, c := range []struct {
		from filters.Stage
		want string
	}{
		{filters.EOM, all},
		{filters.Mail, "[helo:odd(ignored) dnsbl:error(continue)]"},
		{filters.Helo, "[dnsbl:error(continue)]"},
		{filters.Connect, "[]"},
	} {
		tx.ForgetFindings(c.from)
		if got := fmt.Sprint(tx.Findings()); got != c.want {
			t.Errorf("without those from %v on: %s, want %s", c.from, got, c.want)
		}
	}
}

func TestFindingsAreBounded(t *testing.T) {
	tx := &filters.Transaction{Session: &filters.Session{}}
	for i := range 1000 {
		for _, stage := range []filters.Stage{filters.Connect, filters.Rcpt} {
			tx.Note(filters.Noted{Filter: "f", Stage: stage, Reason: fmt.Sprint(i)})
		}
	}
	if n := len(tx.Findings()); n != 64 {
		t.Errorf("%d findings", n)
	}
}

// What a filter was given stays as it is.
func TestFindingsAreACopy(t *testing.T) {
	tx := &filters.Transaction{Session: &filters.Session{}}
	first := filters.Noted{Filter: "a", Stage: filters.Mail, Reason: "x"}
	tx.Note(first)
	got := tx.Findings()
	tx.ForgetFindings(filters.Connect)
	tx.Note(filters.Noted{Filter: "b", Stage: filters.Mail, Reason: "y"})
	if !slices.Equal(got, []filters.Noted{first}) {
		t.Errorf("got %v", got)
	}
}
