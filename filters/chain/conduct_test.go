package chain_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
)

func (k *talk) breach(b filters.Breach) chain.Decision { return k.Conduct(b, []byte("GET /")) }

// A breach is asked about at the first of its kind in a session.
func TestConductOnce(t *testing.T) {
	var calls []string
	k := start(t, filters.Rcpt, entry(&stub{name: "f", finds: answers{filters.Conduct: {}}, calls: &calls}))
	k.until(filters.Helo)
	for _, b := range []filters.Breach{filters.NotSMTP, filters.Pipelined, filters.NotSMTP, filters.BareLF, filters.Pipelined} {
		wantAction(t, k.breach(b), filters.Continue)
	}
	if want := []string{"f.non_smtp", "f.pipelining", "f.bare_lf"}; !slices.Equal(calls, want) {
		t.Errorf("asked %q, want %q", calls, want)
	}
	k.Close()
}

// A breach is refused when the delay has passed, whenever it was found; without a
// delay at once.
func TestConductDelay(t *testing.T) {
	for _, delay := range []filters.Stage{filters.Helo, filters.Mail, filters.Rcpt} {
		for _, found := range []filters.Stage{filters.Connect, filters.Helo, filters.Mail, filters.Rcpt} {
			k := start(t, delay, one(answers{filters.Conduct: reject()}))
			k.until(found)
			wantAction(t, k.breach(filters.BareLF), filters.Continue)
			if !k.Held() {
				t.Errorf("delay %v, found after %v: not held", delay, found)
			}
			at := max(delay, found+1)
			for s := found + 1; s < at; s++ {
				wantAction(t, k.ask(s), filters.Continue)
			}
			wantAction(t, k.ask(at), filters.Reject)
			k.Close()
			if r := k.records()[0]; r.str("stage") != "conduct" || r.str("reason") != "bad" {
				t.Errorf("record = %v", r)
			}
		}
	}
	k := start(t, filters.Connect, one(answers{filters.Conduct: reject()}))
	k.until(filters.Helo)
	wantAction(t, k.breach(filters.BareLF), filters.Reject)
	wantAction(t, k.breach(filters.NotSMTP), filters.Continue) // it has heard it
	wantAction(t, k.ask(filters.Mail), filters.Reject)
	k.Close()
}

func TestConductDrop(t *testing.T) {
	k := start(t, filters.Rcpt, one(answers{filters.Conduct: reject()}, doing(chain.Drop)))
	k.until(filters.Helo)
	wantAction(t, k.breach(filters.NotSMTP), filters.Hangup)
	k.Close()
	if r := k.only("refused"); r.str("action") != "hangup" {
		t.Errorf("record = %v", r)
	}
}

// A new HELO takes back what was held at HELO, and not a breach; its finding
// stays known to those who are asked later.
func TestConductOutlastsHelo(t *testing.T) {
	k := start(t, filters.Rcpt,
		one(answers{filters.Conduct: reject()}, doing(chain.Ignore), func(s *chain.Spec) { s.Name = "observed" }),
		one(answers{filters.Conduct: reject()}))
	k.until(filters.Helo)
	k.breach(filters.Pipelined)
	k.ask(filters.Helo)
	k.ask(filters.Mail)
	if got := k.Transaction().Findings(); len(got) != 2 || got[0].String() != "observed:bad(ignored)" {
		t.Errorf("findings = %v", got)
	}
	wantAction(t, k.ask(filters.Rcpt), filters.Reject)
	k.Close()
}

// Whoever was admitted, or is refused already, is not asked about.
func TestConductSettled(t *testing.T) {
	for _, v := range []filters.Verdict{filters.Accepted("known"), reject()} {
		var calls []string
		k := start(t, filters.Rcpt,
			one(answers{filters.Connect: v}),
			entry(&stub{name: "g", finds: answers{filters.Conduct: reject()}, calls: &calls}))
		k.until(filters.Connect)
		wantAction(t, k.breach(filters.BareLF), filters.Continue)
		if len(calls) > 0 {
			t.Errorf("%v: asked %q", v.Action, calls)
		}
		k.Close()
	}
}

// A breach is judged in spite of what was settled for the transaction.
func TestConductInTransaction(t *testing.T) {
	k := start(t, filters.Rcpt,
		one(answers{filters.Mail: filters.Accepted("known")}),
		one(answers{filters.Conduct: reject()}, func(s *chain.Spec) { s.Name = "g" }))
	k.until(filters.Mail)
	wantAction(t, k.breach(filters.BareLF), filters.Continue)
	wantAction(t, k.ask(filters.Rcpt), filters.Reject)
	k.Close()
}

// A breach is no message that could be dropped or set aside: it may be found in
// the middle of one.
func TestConductIsNoMessage(t *testing.T) {
	for _, action := range []filters.Action{filters.Discard, filters.Quarantine} {
		k := start(t, filters.Rcpt, one(answers{filters.Conduct: verdict(action)}, needs(filters.DoQuarantine)))
		k.until(filters.Mail)
		wantAction(t, k.breach(filters.BareLF), filters.Continue)
		wantAction(t, k.ask(filters.Rcpt), filters.TempFail)
		k.Close()
		if got := k.messages(); !strings.HasPrefix(got, "filter failed, refused") {
			t.Errorf("%v: log = %s", action, got)
		}
	}
}
