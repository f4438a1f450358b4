package main

import (
	"strings"
	"testing"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/trial"
)

// The gravest end of a recipient is the exit code.
func TestTryCode(t *testing.T) {
	for _, c := range []struct {
		end  trial.End
		of   []trial.End
		want error
	}{
		{trial.Accepted, []trial.End{trial.Accepted}, nil},
		{trial.Accepted, []trial.End{trial.Accepted, trial.TempFailed}, exitTempFail},
		{trial.Accepted, []trial.End{trial.Refused, trial.TempFailed, trial.Accepted}, exitRefused},
		{trial.TempFailed, []trial.End{trial.TempFailed}, exitTempFail},
		{trial.Discarded, []trial.End{trial.Discarded}, exitDiscarded},
		{trial.Discarded, []trial.End{trial.Discarded, trial.Refused}, exitRefused},
	} {
		a := trial.Account{End: c.end}
		for _, end := range c.of {
			a.Recipients = append(a.Recipients, trial.Recipient{End: end})
		}
		if got := tryCode(&a); got != c.want {
			t.Errorf("%s %v: %v, want %v", c.end, c.of, got, c.want)
		}
	}
}

func TestEditText(t *testing.T) {
	for want, edit := range map[string]filters.Edit{
		"add field X: a":               filters.AddField{Name: "X", Value: "a"},
		"insert field X: a (place 1)":  filters.InsertField{Index: 1, Name: "X", Value: "a"},
		"change field X (number 2): a": filters.ChangeField{Name: "X", Nth: 2, Value: "a"},
		"remove field X (number 2)":    filters.RemoveField{Name: "X", Nth: 2},
		"change sender <a@b>":          filters.ChangeSender{From: filters.Path{Raw: "<a@b>"}},
		"add recipient <a@b>":          filters.AddRcpt{To: filters.Path{Raw: "<a@b>"}},
		"remove recipient <a@b>":       filters.RemoveRcpt{Raw: "<a@b>"},
		"replace body":                 filters.ReplaceBody{Body: strings.NewReader("")},
	} {
		if got := editText(edit); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
