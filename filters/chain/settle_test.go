package chain_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
)

// What an entry's action makes of a verdict, at every stage.
func TestActionAtEveryStage(t *testing.T) {
	for _, tc := range []struct {
		action chain.Action
		v      filters.Verdict
		want   filters.Action
		code   uint16
	}{
		{chain.Enforce, reject(), filters.Reject, 550},
		{chain.Enforce, tempfail(), filters.TempFail, 450},
		{chain.Enforce, verdict(filters.Reject), filters.Reject, 550},
		{chain.Enforce, verdict(filters.TempFail), filters.TempFail, 451},
		{chain.Enforce, verdict(filters.Hangup), filters.Hangup, 421},
		{chain.Enforce, filters.Refuse("x", 521, [3]uint16{5, 7, 1}, "No"), filters.Hangup, 521},
		{chain.Enforce, filters.Failed(errBoom), filters.TempFail, 451},
		{chain.Drop, reject(), filters.Hangup, 521},
		{chain.Drop, tempfail(), filters.Hangup, 421},
		{chain.Drop, filters.Failed(errBoom), filters.Hangup, 421},
		{chain.Ignore, reject(), filters.Continue, 0},
		{chain.Ignore, tempfail(), filters.Continue, 0},
		{chain.Ignore, verdict(filters.Hangup), filters.Continue, 0},
		{chain.Ignore, filters.Failed(errBoom), filters.Continue, 0},
		{chain.Ignore, verdict(filters.Accept), filters.Continue, 0},
		{chain.Ignore, verdict(filters.Discard), filters.Continue, 0},
		{chain.Drop, verdict(filters.Accept), filters.Continue, 0},
	} {
		for _, stage := range dialogue {
			t.Run(fmt.Sprintf("%v/%v/%v", tc.action, tc.v.Action, stage), func(t *testing.T) {
				k := start(t, filters.Connect, one(answers{stage: tc.v}, doing(tc.action)))
				d := k.until(stage)
				if d.Action != tc.want || d.Reply.Code != tc.code {
					t.Fatalf("decision = %v %v, want %v %d", d.Action, d.Reply, tc.want, tc.code)
				}
				if d.Refuses() != (tc.code >= 400) {
					t.Error("Refuses is wrong")
				}
				k.Close()
				checkLogged(t, k, tc.action, tc.v, stage)
			})
		}
	}
}

func checkLogged(t *testing.T, k *talk, a chain.Action, v filters.Verdict, stage filters.Stage) {
	t.Helper()
	found := ""
	for _, r := range k.records() {
		switch msg := r.str("msg"); {
		case msg == "refused" || msg == "would have refused" || msg == "ignored":
			found += msg
			if r.str("stage") != stage.String() || r.str("filter") != "f" {
				t.Errorf("record %v, want stage %v and filter f", r, stage)
			}
		}
	}
	want := "refused"
	switch {
	case a == chain.Ignore && (v.Action == filters.Accept || v.Action == filters.Discard):
		want = "ignored"
	case a == chain.Ignore:
		want = "would have refused"
	case v.Action == filters.Accept:
		want = ""
	}
	if found != want {
		t.Errorf("log has %q, want %q", found, want)
	}
}

func TestIgnoreGoesOn(t *testing.T) {
	var calls []string
	k := start(t, filters.Rcpt,
		entry(&stub{name: "a", finds: answers{filters.Mail: reject()}}, doing(chain.Ignore)),
		entry(&stub{name: "b", finds: answers{filters.Mail: {}}, calls: &calls}))
	wantAction(t, k.until(filters.Mail), filters.Continue)
	if len(calls) != 1 {
		t.Errorf("calls = %v, want the next filter asked", calls)
	}
	r := k.only("would have refused")
	if r.str("action") != "ignore" || r.str("would") != "reject" || r.str("reason") != "bad" {
		t.Errorf("record = %v", r)
	}
}

func TestOnErrorAtEveryStage(t *testing.T) {
	for _, tc := range []struct {
		on   chain.OnError
		want filters.Action
		code uint16
	}{
		{chain.ErrorTempFail, filters.TempFail, 451},
		{chain.ErrorReject, filters.Reject, 550},
		{chain.ErrorContinue, filters.Continue, 0},
	} {
		for _, stage := range dialogue {
			for how, fail := range map[string]func(context.Context) filters.Verdict{
				"failed": func(context.Context) filters.Verdict { return filters.Failed(errBoom) },
				"nil":    func(context.Context) filters.Verdict { return filters.Failed(nil) },
				"panic":  func(context.Context) filters.Verdict { panic(errBoom) },
				"action": func(context.Context) filters.Verdict { return filters.Verdict{Action: 99} },
			} {
				t.Run(fmt.Sprintf("%v/%v/%s", tc.on, stage, how), func(t *testing.T) {
					var calls []string
					a := &stub{name: "a", do: map[filters.Stage]func(context.Context) filters.Verdict{stage: fail}}
					b := &stub{name: "b", finds: answers{stage: {}}, calls: &calls}
					k := start(t, filters.Connect, entry(a, onError(tc.on)), entry(b))
					d := k.until(stage)
					if d.Action != tc.want || d.Reply.Code != tc.code {
						t.Fatalf("decision = %v %v, want %v", d.Action, d.Reply, tc.want)
					}
					if asked := len(calls) > 0; stage != filters.Body && asked != (tc.on == chain.ErrorContinue) {
						t.Errorf("next filter asked: %v", asked)
					}
					r := k.records()[0]
					if r.str("msg") != "filter failed" || r.str("level") != "WARN" || r.str("filter") != "a" ||
						r.str("stage") != stage.String() || r.str("on_error") != tc.on.String() || r.str("error") == "" {
						t.Errorf("record = %v", r)
					}
				})
			}
		}
	}
}

// badError panics when it is printed, as a typed nil does.
type badError struct{ text string }

func (e *badError) Error() string { return e.text }

func TestErrorThatCannotBePrinted(t *testing.T) {
	var none *badError
	k := start(t, filters.Connect, one(answers{filters.Mail: filters.Failed(none)}))
	wantAction(t, k.until(filters.Mail), filters.TempFail)
}

// An error beside an action is for the log; it does not call on_error.
func TestErrorBesideAnAction(t *testing.T) {
	v := filters.Verdict{Action: filters.Reject, Finding: &filters.Finding{Reason: "bad", Err: errBoom}}
	k := start(t, filters.Connect, one(answers{filters.Mail: v}, onError(chain.ErrorContinue)))
	wantAction(t, k.until(filters.Mail), filters.Reject)
	if r := k.only("refused"); r.str("error") != "boom" {
		t.Errorf("record = %v, want the error in it", r)
	}
}

func TestTimeout(t *testing.T) {
	slow := func(v filters.Verdict) func(context.Context) filters.Verdict {
		return func(ctx context.Context) filters.Verdict { <-ctx.Done(); return v }
	}
	for _, stage := range dialogue {
		if stage == filters.Body {
			continue // see TestFinishTimeout
		}
		for _, tc := range []struct {
			name string
			do   func(context.Context) filters.Verdict
			want filters.Action
		}{
			{"says nothing too late", slow(filters.Verdict{}), filters.TempFail},
			{"says so itself", slow(filters.Failed(context.DeadlineExceeded)), filters.TempFail},
			{"found something anyway", slow(reject()), filters.Reject},
			{"in time", func(context.Context) filters.Verdict { time.Sleep(time.Second); return filters.Verdict{} }, filters.Continue},
		} {
			t.Run(stage.String()+"/"+tc.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := &stub{name: "f", do: map[filters.Stage]func(context.Context) filters.Verdict{stage: tc.do}}
					k := start(t, filters.Connect, entry(f, timeout(5*time.Second)))
					began := time.Now()
					wantAction(t, k.until(stage), tc.want)
					if took := time.Since(began); took > 5*time.Second {
						t.Errorf("took %v", took)
					}
					k.Close()
				})
			})
		}
	}
}

func TestTimeoutOfTheKind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &stub{name: "f", do: map[filters.Stage]func(context.Context) filters.Verdict{
			filters.Connect: func(ctx context.Context) filters.Verdict { <-ctx.Done(); return filters.Verdict{} }}}
		k := start(t, filters.Connect, entry(f, func(s *chain.Spec) { s.Kind.Timeout = time.Minute }))
		wantAction(t, k.Connect(), filters.TempFail)
		if r := k.records()[0]; r.str("error") != "no answer within 1m0s" {
			t.Errorf("record = %v", r)
		}
	})
}

// The end of a session is no time-out, and nobody's failure.
func TestSessionEndsWhileAsked(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	f := &stub{name: "f", do: map[filters.Stage]func(context.Context) filters.Verdict{
		filters.Connect: func(ctx context.Context) filters.Verdict { cancel(); <-ctx.Done(); return filters.Verdict{} }}}
	k := start(t, filters.Connect, entry(f, timeout(time.Minute)))
	k.Run = build(t, k.log, chain.Options{}, entry(f, timeout(time.Minute))).Start(ctx, session())
	wantAction(t, k.Connect(), filters.Continue)
	if k.log.Len() > 0 {
		t.Errorf("log = %s", k.log)
	}
}

// tail counts who is asked after the filter in question.
func tail(calls *[]string) chain.Spec {
	finds := answers{}
	for _, s := range dialogue {
		if s != filters.Body {
			finds[s] = filters.Verdict{}
		}
	}
	return entry(&stub{name: "next", finds: finds, calls: calls})
}

func TestAccept(t *testing.T) {
	for _, tc := range []struct {
		at     filters.Stage
		first  string // where the next filter is asked in the first transaction
		second string // and in the second of the same session
	}{
		{filters.Connect, "", ""},
		{filters.Helo, "connect", ""},
		{filters.Command, "connect helo mail rcpt data eoh eom", "mail rcpt data eoh eom"},
		{filters.Mail, "connect helo command command", "command"},
		{filters.Rcpt, "connect helo command mail data eoh eom command", "mail data eoh eom command"},
		{filters.Data, "connect helo command mail rcpt command", "mail rcpt command"},
		{filters.Body, "connect helo command mail rcpt data command", "mail rcpt data command"},
		{filters.EOH, "connect helo command mail rcpt data command", "mail rcpt data command"},
		{filters.EOM, "connect helo command mail rcpt data eoh command", "mail rcpt data eoh command"},
	} {
		t.Run(tc.at.String(), func(t *testing.T) {
			var calls []string
			k := start(t, filters.Rcpt, one(answers{tc.at: filters.Accepted("known")}), tail(&calls))
			wantAction(t, k.until(filters.EOM), filters.Continue)
			wantAction(t, k.ask(filters.Command), filters.Continue)
			if got := stagesOf(calls); got != tc.first {
				t.Errorf("next filter asked at %q, want %q", got, tc.first)
			}
			k.Done(taken)
			if k.only("accepted").list("to") != "bob@example.net" {
				t.Error("recipient is missing")
			}
			calls = nil
			k.ask(filters.Mail)
			k.after(filters.Mail)
			k.ask(filters.Command)
			if got := stagesOf(calls); got != tc.second {
				t.Errorf("in the second transaction asked at %q, want %q", got, tc.second)
			}
		})
	}
}

func stagesOf(calls []string) string {
	return strings.ReplaceAll(strings.Join(calls, " "), "next.", "")
}

// Accept at Rcpt is for one recipient: the next one is asked about.
func TestAcceptOneRecipient(t *testing.T) {
	n := 0
	first := &stub{name: "postmaster", do: map[filters.Stage]func(context.Context) filters.Verdict{
		filters.Rcpt: func(context.Context) filters.Verdict {
			if n++; n == 1 {
				return filters.Accepted("postmaster")
			}
			return filters.Verdict{}
		}}}
	k := start(t, filters.Rcpt, entry(first), entry(&stub{name: "b", finds: answers{filters.Rcpt: reject()}}))
	k.until(filters.Mail)
	wantAction(t, k.Rcpt(bob), filters.Continue)
	wantAction(t, k.Rcpt(carol), filters.Reject)
	if rcpts := k.Transaction().Rcpts; !slices.Equal(rcpts, []*filters.Path{bob}) {
		t.Errorf("recipients = %v", rcpts)
	}
}

func TestDiscard(t *testing.T) {
	for _, tc := range []struct {
		at filters.Stage
		d  filters.Action // what that stage itself says
	}{
		{filters.Connect, filters.Continue}, {filters.Helo, filters.Continue},
		{filters.Mail, filters.Discard}, {filters.Rcpt, filters.Discard}, {filters.Data, filters.Discard},
		{filters.EOH, filters.Discard}, {filters.Body, filters.Discard}, {filters.EOM, filters.Discard},
	} {
		t.Run(tc.at.String(), func(t *testing.T) {
			var calls []string
			k := start(t, filters.Rcpt, one(answers{tc.at: verdict(filters.Discard)}), tail(&calls))
			wantAction(t, k.until(tc.at), tc.d)
			if !k.Held() {
				t.Error("Held is false, so a message to discard would go upstream")
			}
			calls = nil
			for s, d := range k.after(tc.at) {
				if s == filters.Helo {
					wantAction(t, d, filters.Continue)
					continue
				}
				if d.Action != filters.Discard || d.Reply.Code != 250 {
					t.Errorf("at %v: %v %v, want Discard", s, d.Action, d.Reply)
				}
			}
			if len(calls) > 0 {
				t.Errorf("asked after the discard: %v", calls)
			}
			d := k.Message()
			k.Done(told(d))
			r := k.only("discarded")
			if r.str("filter") != "f" || r.str("reason") != "why" || r.str("action") != "discard" || r.str("stage") != tc.at.String() || r.list("to") != "bob@example.net" {
				t.Errorf("record = %v", r)
			}
			if k.Held() != (tc.at <= filters.Helo) {
				t.Errorf("Held = %v after the transaction", k.Held())
			}
			k.ask(filters.Mail)
			k.Close()
			k.only("aborted")
		})
	}
}

// Verbs outside of a transaction are not answered by its verdict.
func TestCommandWithinATransaction(t *testing.T) {
	for _, a := range []filters.Action{filters.Discard, filters.Accept} {
		var calls []string
		k := start(t, filters.Rcpt, one(answers{filters.Mail: verdict(a)}),
			entry(&stub{name: "verbs", finds: answers{filters.Command: filters.Refuse("verb", 502, [3]uint16{5, 5, 1}, "Not here")}, calls: &calls}))
		k.Connect()
		k.Helo("h", true)
		k.Mail(alice, 0)
		if d := k.Command("VRFY", "bob"); d.Reply.Code != 502 {
			t.Errorf("%v at MAIL: VRFY gets %v %v", a, d.Action, d.Reply)
		}
	}
}

func TestDiscardReplyIsPositive(t *testing.T) {
	v := filters.Verdict{Action: filters.Discard, Finding: &filters.Finding{Reply: filters.Reply{Code: 550, Text: "no"}}}
	k := start(t, filters.Rcpt, one(answers{filters.EOM: v}))
	if d := k.until(filters.EOM); d.Action != filters.Discard || d.Reply.Code != 250 {
		t.Errorf("decision = %v %v", d.Action, d.Reply)
	}
}

func TestDiscardAtCommandIsNothing(t *testing.T) {
	for _, a := range []filters.Action{filters.Discard, filters.Quarantine} {
		k := start(t, filters.Rcpt, one(answers{filters.Command: verdict(a)}, needs(filters.DoQuarantine)))
		wantAction(t, k.until(filters.Command), filters.Continue)
		if k.Held() {
			t.Error("held")
		}
	}
}

func TestQuarantine(t *testing.T) {
	for _, stage := range dialogue {
		if stage == filters.Command {
			continue
		}
		t.Run(stage.String(), func(t *testing.T) {
			var calls []string
			k := start(t, filters.Rcpt, one(answers{stage: verdict(filters.Quarantine)}, needs(filters.DoQuarantine)), tail(&calls))
			// The message passes, so the others have their say; the front end
			// hears of it when it can do it.
			wantAction(t, k.until(filters.EOM), filters.Quarantine)
			if got := stagesOf(calls); got != "connect helo command mail rcpt data eoh eom" {
				t.Errorf("next filter asked at %q", got)
			}
			if k.Held() {
				t.Error("Held: the message would not go upstream")
			}
			wantAction(t, k.Message(), filters.Quarantine)
			k.Done(taken)
			r := k.only("quarantined")
			if r.str("action") != "quarantine" || r.str("filter") != "f" || r.str("reason") != "why" || r.str("stage") != stage.String() {
				t.Errorf("record = %v", r)
			}
			k.ask(filters.Mail)
			told := k.after(filters.Mail)
			wantAction(t, told[filters.EOM], filters.Quarantine)
		})
	}
}

func TestRefusalAfterQuarantine(t *testing.T) {
	k := start(t, filters.Rcpt, one(answers{filters.Data: verdict(filters.Quarantine)}, needs(filters.DoQuarantine)),
		entry(&stub{name: "virus", finds: answers{filters.EOM: reject()}}))
	d := k.until(filters.EOM)
	wantAction(t, d, filters.Reject)
	k.Done(told(d))
	if r := k.only("refused"); r.str("filter") != "virus" {
		t.Errorf("record = %v", r)
	}
}

func TestQuarantineWithoutTheNeed(t *testing.T) {
	for _, on := range []chain.OnError{chain.ErrorTempFail, chain.ErrorContinue} {
		k := start(t, filters.Rcpt, one(answers{filters.EOM: verdict(filters.Quarantine)}, onError(on)))
		want := filters.TempFail
		if on == chain.ErrorContinue {
			want = filters.Continue
		}
		wantAction(t, k.until(filters.EOM), want)
		if r := k.records()[0]; r.str("msg") != "filter failed" || !strings.Contains(r.str("error"), "quarantine") {
			t.Errorf("record = %v", r)
		}
	}
}

func TestPanicNeverEscapes(t *testing.T) {
	boom := func() io.Writer { panic("boom") }
	for name, open := range map[string]func(*filters.Transaction) io.Writer{
		"open":      func(*filters.Transaction) io.Writer { return boom() },
		"write":     func(*filters.Transaction) io.Writer { return &panicSink{write: true} },
		"finish":    func(*filters.Transaction) io.Writer { return &panicSink{} },
		"early":     func(*filters.Transaction) io.Writer { return &panicSink{decided: true} },
		"typed nil": func(*filters.Transaction) io.Writer { return (*sink)(nil) },
	} {
		for _, on := range []chain.OnError{chain.ErrorTempFail, chain.ErrorContinue, chain.ErrorReject} {
			t.Run(name+"/"+on.String(), func(t *testing.T) {
				next := &sink{}
				k := start(t, filters.Rcpt, entry(&stub{name: "f", open: open}, onError(on)),
					entry(&stub{name: "next", open: func(*filters.Transaction) io.Writer { return next }}))
				k.until(filters.Data)
				d := k.ask(filters.Body)
				if d.Action == filters.Continue {
					d = k.Message()
				}
				want := map[chain.OnError]filters.Action{chain.ErrorTempFail: filters.TempFail, chain.ErrorReject: filters.Reject}[on]
				wantAction(t, d, want)
				if on == chain.ErrorContinue && (next.got.String() != content || next.finishes != 1) {
					t.Errorf("the next sink got %q and was asked %d times", next.got.String(), next.finishes)
				}
				r := k.records()[0]
				if r.str("msg") != "filter failed" || !strings.Contains(r.str("error"), "panic: ") || !strings.Contains(r.str("error"), "_test.go") {
					t.Errorf("record = %v, want the panic and where it was", r)
				}
			})
		}
	}
}

type panicSink struct{ write, decided bool }

func (s *panicSink) Write(p []byte) (int, error) {
	if s.write {
		panic(errors.New("boom"))
	}
	if s.decided {
		return 0, filters.ErrDecided
	}
	return len(p), nil
}

func (s *panicSink) Finish(context.Context) filters.Verdict { panic("boom") }

// Whoever greets anew is judged anew, whatever was settled about the greeting of
// before.
func TestHeloTakenBack(t *testing.T) {
	for _, a := range []filters.Action{filters.Accept, filters.Discard, filters.Quarantine, filters.Reject} {
		f := &stub{name: "f", finds: answers{filters.Helo: verdict(a), filters.Mail: reject()}}
		k := start(t, filters.Rcpt, entry(f, needs(filters.DoQuarantine)))
		k.Connect()
		k.Helo("one", true)
		f.finds[filters.Helo] = filters.Verdict{}
		k.Helo("two", true)
		if k.Held() {
			t.Errorf("%v at the first EHLO is held at the second", a)
		}
		k.Mail(alice, 0)
		if d := k.Rcpt(bob); d.Action != filters.Reject {
			t.Errorf("%v at the first EHLO: the transaction behind the second gets %v", a, d.Action)
		}
		k.Close()
	}
}
