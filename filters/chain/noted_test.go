package chain_test

import (
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
)

// findings returns what a filter would be told now.
func (k *talk) findings() string { return fmt.Sprint(k.Transaction().Findings()) }

func TestFindingsAtEveryStage(t *testing.T) {
	for _, c := range []struct {
		name string
		spec func(answers) chain.Spec
		v    filters.Verdict
		want string
	}{
		{"ignored", func(a answers) chain.Spec { return one(a, doing(chain.Ignore)) }, reject(), "[f:bad(ignored)]"},
		{"quarantine", func(a answers) chain.Spec { return one(a, needs(filters.DoQuarantine)) }, verdict(filters.Quarantine), "[f:why(quarantine)]"},
		{"error passed over", func(a answers) chain.Spec { return one(a, onError(chain.ErrorContinue)) }, filters.Failed(errBoom), "[f:error(continue)]"},
		{"error ignored", func(a answers) chain.Spec { return one(a, doing(chain.Ignore)) }, filters.Failed(errBoom), "[f:error(ignored)]"},
		{"nothing", func(answers) chain.Spec { return one(answers{}) }, filters.Verdict{}, "[]"},
	} {
		for _, stage := range dialogue {
			t.Run(c.name+"/"+stage.String(), func(t *testing.T) {
				k := start(t, filters.Rcpt, c.spec(answers{stage: c.v}))
				k.until(filters.EOM)
				want := c.want
				if stage == filters.Command {
					want = "[]"
				}
				if got := k.findings(); got != want {
					t.Errorf("findings %s, want %s", got, want)
				}
			})
		}
	}
}

// Each transaction has what the session has, and its own.
func TestFindingsOfTwoTransactions(t *testing.T) {
	k := start(t, filters.Rcpt,
		one(answers{filters.Connect: reject(), filters.Helo: tempfail(), filters.Mail: reject()}, doing(chain.Ignore)))
	k.until(filters.EOM)
	all := "[f:bad(ignored) f:soon(ignored) f:bad(ignored)]"
	if got := k.findings(); got != all {
		t.Errorf("first: %s, want %s", got, all)
	}
	k.Done(taken)
	k.ask(filters.Mail)
	if got := k.findings(); got != all {
		t.Errorf("second: %s, want %s", got, all)
	}
	k.Helo("again", true)
	k.ask(filters.Mail)
	if got := k.findings(); got != all {
		t.Errorf("after another HELO: %s, want %s", got, all)
	}
	k.Close()
}

func TestFindingsAreOfTheHeloInForce(t *testing.T) {
	name := "bad"
	f := &stub{name: "f", do: stageFuncs{filters.Helo: func(context.Context) filters.Verdict {
		if name == "bad" {
			return reject()
		}
		return filters.Verdict{}
	}}}
	k := start(t, filters.Rcpt, entry(f, doing(chain.Ignore)))
	k.Helo(name, true)
	name = "good"
	k.Helo(name, true)
	k.ask(filters.Mail)
	if got := k.findings(); got != "[]" {
		t.Errorf("findings %s", got)
	}
}

func TestFindingsOnRecipients(t *testing.T) {
	n := 0
	f := &stub{name: "f", do: stageFuncs{filters.Rcpt: func(context.Context) filters.Verdict {
		if n++; n < 3 {
			return reject()
		}
		return filters.Verdict{}
	}}}
	k := start(t, filters.Rcpt, entry(f))
	k.ask(filters.Mail)
	for _, to := range []*filters.Path{alice, carol, bob} {
		k.Rcpt(to)
	}
	if got := k.findings(); got != "[f:bad(reject)]" {
		t.Errorf("findings %s", got)
	}
	k.Done(chain.Result{Reason: "reset"})
	k.ask(filters.Mail)
	if got := k.findings(); got != "[]" {
		t.Errorf("findings of the next transaction: %s", got)
	}
}

// An entry that is asked at no stage needs nothing, whatever its kind may do.
func TestNeverAskedNeedsNothing(t *testing.T) {
	c := build(t, io.Discard, chain.Options{}, one(nil, needs(filters.EditHeader|filters.WholeMessage)))
	if stages, need := c.Wants(); stages != 0 || need != 0 {
		t.Errorf("wants %v, %v", stages, need)
	}
}
