package chain_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
)

// When a refusal found at one stage is told, for each delay.
func TestDelayReject(t *testing.T) {
	for _, delay := range []filters.Stage{filters.Connect, filters.Helo, filters.Mail, filters.Rcpt} {
		for _, found := range []filters.Stage{filters.Connect, filters.Helo, filters.Mail, filters.Rcpt, filters.Data} {
			for _, v := range []filters.Verdict{reject(), tempfail()} {
				t.Run(fmt.Sprintf("%v/%v/%v", delay, found, v.Action), func(t *testing.T) {
					told := max(delay, found)
					var calls []string
					k := start(t, delay, one(answers{found: v}), tail(&calls))
					for _, s := range dialogue {
						if s == filters.Command {
							continue
						}
						calls = nil
						d := k.ask(s)
						if s == told {
							wantAction(t, d, v.Action)
							break
						}
						wantAction(t, d, filters.Continue)
						if k.Held() != (s >= found) {
							t.Errorf("at %v: Held = %v", s, k.Held())
						}
						if s >= found && len(calls) > 0 {
							t.Errorf("at %v: %v asked although a refusal is held", s, calls)
						}
						if k.log.Len() > 0 {
							t.Errorf("logged before it was told: %s", k.log)
						}
					}
					k.Close()
					r := k.records()[0]
					checkTold(t, r, found, told)
				})
			}
		}
	}
}

func checkTold(t *testing.T, r record, found, told filters.Stage) {
	t.Helper()
	if r.str("msg") != "refused" || r.str("stage") != found.String() {
		t.Errorf("record = %v, want the stage %v", r, found)
	}
	if told >= filters.Mail && r.str("from") != "alice@example.org" {
		t.Errorf("record = %v, want the sender", r)
	}
	if told >= filters.Rcpt && r.list("to") != "bob@example.net" {
		t.Errorf("record = %v, want the recipient", r)
	}
}

func TestHangupIsNotHeld(t *testing.T) {
	for _, stage := range []filters.Stage{filters.Connect, filters.Helo, filters.Mail} {
		for _, spec := range []chain.Spec{
			one(answers{stage: verdict(filters.Hangup)}),
			one(answers{stage: reject()}, doing(chain.Drop)),
		} {
			k := start(t, filters.Rcpt, spec)
			wantAction(t, k.until(stage), filters.Hangup)
			k.Close()
			k.only("refused")
		}
	}
}

// Each recipient hears it, and each is logged with the sender.
func TestHeldIsToldToEachRecipient(t *testing.T) {
	k := start(t, filters.Rcpt, one(answers{filters.Connect: reject()}))
	k.until(filters.Mail)
	wantAction(t, k.Rcpt(bob), filters.Reject)
	wantAction(t, k.Rcpt(carol), filters.Reject)
	if n := len(k.Transaction().Rcpts); n != 0 {
		t.Errorf("%d recipients joined", n)
	}
	k.Close()
	list := k.records()
	if messages(list) != "refused, refused" {
		t.Fatalf("log = %v", list)
	}
	if list[0].list("to") != "bob@example.net" || list[1].list("to") != "carol@example.net" {
		t.Errorf("log = %v", list)
	}
}

func TestHeldInTwoTransactions(t *testing.T) {
	k := start(t, filters.Rcpt, one(answers{filters.Helo: reject()}))
	k.until(filters.Rcpt)
	k.Done(chain.Result{Reason: "reset"})
	wantAction(t, k.Mail(bob, 0), filters.Continue)
	wantAction(t, k.Rcpt(carol), filters.Reject)
	k.Close()
	list := k.records()
	if messages(list) != "refused, refused" {
		t.Fatalf("log = %v", list)
	}
	if list[0].str("id") != "S1.1" || list[1].str("id") != "S1.2" || list[1].str("from") != "bob@example.net" {
		t.Errorf("log = %v", list)
	}
}

// What was held at MAIL is of that transaction only.
func TestHeldAtMailEndsWithTheTransaction(t *testing.T) {
	n := 0
	k := start(t, filters.Rcpt, entry(&stub{name: "f", do: at(filters.Mail, func() filters.Verdict {
		if n++; n == 1 {
			return reject()
		}
		return filters.Verdict{}
	})}))
	wantAction(t, k.until(filters.Rcpt), filters.Reject)
	k.Done(chain.Result{Reason: "reset"})
	k.Mail(alice, 0)
	wantAction(t, k.Rcpt(bob), filters.Continue)
	if k.Held() {
		t.Error("still held")
	}
}

func TestHeldButNeverTold(t *testing.T) {
	for found, last := range map[filters.Stage]filters.Stage{
		filters.Connect: filters.Connect, filters.Helo: filters.Helo, filters.Mail: filters.Mail,
	} {
		k := start(t, filters.Rcpt, one(answers{found: reject()}))
		k.until(last)
		k.Close()
		if r := k.only("refused"); r.str("stage") != found.String() || (found == filters.Mail) != (r.str("from") != "") {
			t.Errorf("record = %v", r)
		}
	}
}

func TestNewHeloTakesBack(t *testing.T) {
	k := start(t, filters.Rcpt, entry(&stub{name: "f", do: at(filters.Helo, first(reject()))}))
	k.Connect()
	k.Helo("bad", true)
	if !k.Held() {
		t.Fatal("not held")
	}
	k.Helo("good", true)
	if k.Held() {
		t.Error("still held")
	}
	k.Mail(alice, 0)
	wantAction(t, k.Rcpt(bob), filters.Continue)
	k.Done(taken)
	if got := k.messages(); got != "refused, accepted" {
		t.Errorf("log = %s", got)
	}
}

func TestNewHeloDoesNotTakeBackWhatConnectFound(t *testing.T) {
	k := start(t, filters.Rcpt, one(answers{filters.Connect: reject()}))
	k.Connect()
	k.Helo("a", true)
	k.Helo("b", true)
	k.Mail(alice, 0)
	wantAction(t, k.Rcpt(bob), filters.Reject)
}

// A refusal that was told at once stands too: a client that goes on in spite
// of it does not get through.
func TestToldRefusalStands(t *testing.T) {
	for _, v := range []filters.Verdict{reject(), tempfail(), verdict(filters.Hangup)} {
		for _, stage := range []filters.Stage{filters.Connect, filters.Helo} {
			k := start(t, filters.Connect, one(answers{stage: v}))
			wantAction(t, k.until(stage), v.Action)
			if !k.Held() {
				t.Errorf("%v: not held", stage)
			}
			wantAction(t, k.Mail(alice, 0), v.Action)
			if k.Transaction() != nil {
				t.Error("a transaction is under way")
			}
		}
	}
	k := start(t, filters.Connect, entry(&stub{name: "f", do: at(filters.Helo, first(reject()))}))
	wantAction(t, k.until(filters.Helo), filters.Reject)
	wantAction(t, k.Helo("good", true), filters.Continue)
	wantAction(t, k.Mail(alice, 0), filters.Continue)
}

func TestHeldIsToldAtCommand(t *testing.T) {
	k := start(t, filters.Rcpt, one(answers{filters.Helo: reject()}))
	k.Connect()
	k.Helo("h", true)
	d := k.Command("VRFY", "bob")
	wantAction(t, d, filters.Reject)
	if !strings.HasSuffix(d.Reply.Text, "(id S1)") {
		t.Errorf("text = %q", d.Reply.Text)
	}
	k.Close()
	k.only("refused")
}

func at(s filters.Stage, do func() filters.Verdict) stageFuncs {
	return stageFuncs{s: func(ctxT) filters.Verdict { return do() }}
}

// first answers v once.
func first(v filters.Verdict) func() filters.Verdict {
	return func() filters.Verdict {
		defer func() { v = filters.Verdict{} }()
		return v
	}
}
