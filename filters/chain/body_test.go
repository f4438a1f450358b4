package chain_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
)

type (
	ctxT       = context.Context
	stageFuncs = map[filters.Stage]func(context.Context) filters.Verdict
)

func reading(name string, w io.Writer) *stub {
	return &stub{name: name, open: func(*filters.Transaction) io.Writer { return w }}
}

func TestSinksGetTheContent(t *testing.T) {
	a, b := &sink{}, &sink{}
	k := start(t, filters.Rcpt, entry(reading("a", a)), entry(reading("none", nil)), entry(reading("b", b)))
	k.until(filters.Data)
	wantAction(t, k.BeginBody(), filters.Continue)
	for i := range len(content) {
		wantAction(t, k.Body([]byte{content[i]}), filters.Continue)
	}
	if k.Transaction().Size != int64(len(content)) {
		t.Errorf("Size = %d, want %d", k.Transaction().Size, len(content))
	}
	wantAction(t, k.Message(), filters.Continue)
	if a.got.String() != content || b.got.String() != content {
		t.Errorf("sinks got %q and %q", a.got.String(), b.got.String())
	}
	if a.finishes != 1 || b.finishes != 1 {
		t.Errorf("Finish asked %d and %d times", a.finishes, b.finishes)
	}
}

func TestSkip(t *testing.T) {
	s := &sink{err: fmt.Errorf("enough: %w", filters.ErrSkip), end: reject()}
	k := start(t, filters.Rcpt, entry(reading("f", s)))
	k.until(filters.Data)
	k.BeginBody()
	wantAction(t, k.Body([]byte(content)), filters.Continue)
	wantAction(t, k.Body([]byte(content)), filters.Continue)
	if s.writes != 1 {
		t.Errorf("%d writes after ErrSkip", s.writes)
	}
	wantAction(t, k.Message(), filters.Reject)
	if s.finishes != 1 {
		t.Errorf("Finish asked %d times", s.finishes)
	}
}

func TestDecidedEarly(t *testing.T) {
	for _, a := range []filters.Action{filters.Reject, filters.TempFail, filters.Hangup, filters.Discard} {
		s, next := &sink{early: true, end: verdict(a)}, &sink{end: reject()}
		k := start(t, filters.Rcpt, entry(reading("f", s)), entry(reading("next", next)), tail(nil))
		k.until(filters.Data)
		k.BeginBody()
		d := k.Body([]byte("Subject: x\r\n"))
		wantAction(t, d, a)
		for _, again := range []chain.Decision{k.Header(nil), k.Body([]byte("\r\n")), k.Message(), k.Message()} {
			if again != d {
				t.Errorf("later %v %v, first %v %v", again.Action, again.Reply, d.Action, d.Reply)
			}
		}
		if s.finishes != 1 || s.writes != 1 || next.finishes != 0 {
			t.Errorf("finishes %d, writes %d; the next sink's finishes %d", s.finishes, s.writes, next.finishes)
		}
		if k.Transaction().Size != 14 {
			t.Errorf("Size = %d, want all that was seen", k.Transaction().Size)
		}
		k.Done(told(d))
		if got := k.messages(); (a == filters.Discard) != (got == "discarded") || (a != filters.Discard) != (got == "refused") {
			t.Errorf("%v: log = %s", a, got)
		}
	}
}

// Decided, and nothing found: only that sink is done.
func TestDecidedNothing(t *testing.T) {
	s, next := &sink{early: true}, &sink{}
	k := start(t, filters.Rcpt, entry(reading("f", s)), entry(reading("next", next)))
	k.until(filters.EOM)
	if s.finishes != 1 || next.finishes != 1 || next.got.String() != content {
		t.Errorf("finishes %d and %d", s.finishes, next.finishes)
	}
}

// Accept asks no more filters: neither the other sinks nor those at EOM.
func TestAcceptByASink(t *testing.T) {
	for _, early := range []bool{true, false} {
		next := &sink{end: reject()}
		k := start(t, filters.Rcpt, entry(reading("f", &sink{early: early, end: filters.Accepted("known")})),
			entry(reading("next", next)), entry(&stub{name: "eom", finds: answers{filters.EOM: reject()}}))
		wantAction(t, k.until(filters.EOM), filters.Continue)
		if next.finishes > 0 || early && next.writes > 0 {
			t.Errorf("early %v: the next sink was asked", early)
		}
	}
}

// A verdict at EOH stands against what sinks say of the rest.
func TestHeaderVerdictStandsAgainstSinks(t *testing.T) {
	for _, v := range []filters.Verdict{filters.Refuse("head", 554, [3]uint16{5, 6, 0}, "Head"), filters.Accepted("known")} {
		s := &sink{end: reject()}
		k := start(t, filters.Rcpt, one(answers{filters.EOH: v}), entry(reading("s", s)))
		k.until(filters.Data)
		k.BeginBody()
		k.Body([]byte("Subject: x\r\n\r\n"))
		d := k.Header(nil)
		s.early = true
		if again := k.Body([]byte("Hello\r\n")); again != d {
			t.Errorf("after %v: %v %v", d.Action, again.Action, again.Reply)
		}
		if again := k.Message(); again != d || s.finishes > 0 {
			t.Errorf("after %v: %v %v; %d finishes", d.Action, again.Action, again.Reply, s.finishes)
		}
	}
}

func TestSinkErrors(t *testing.T) {
	for on, want := range map[chain.OnError]filters.Action{
		chain.ErrorTempFail: filters.TempFail, chain.ErrorReject: filters.Reject, chain.ErrorContinue: filters.Continue,
	} {
		s, next := &sink{err: errors.New("disk full")}, &sink{}
		k := start(t, filters.Rcpt, entry(reading("f", s), onError(on)), entry(reading("next", next)))
		k.until(filters.Data)
		k.BeginBody()
		d := k.Body([]byte(content))
		wantAction(t, d, want)
		wantAction(t, k.Body([]byte(content)), want)
		wantAction(t, k.Message(), want)
		if s.writes != 1 || s.finishes != 0 {
			t.Errorf("%v: a failed sink got %d writes and was asked %d times", on, s.writes, s.finishes)
		}
		if on == chain.ErrorContinue && (next.writes != 2 || next.finishes != 1) {
			t.Errorf("the next sink got %d writes", next.writes)
		}
		r := k.records()[0]
		if r.str("msg") != "filter failed" || r.str("error") != "disk full" || r.str("stage") != "body" {
			t.Errorf("record = %v", r)
		}
	}
}

func TestFinishTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := start(t, filters.Rcpt, entry(reading("f", slowSink{}), timeout(time.Second)))
		wantAction(t, k.until(filters.EOM), filters.TempFail)
	})
}

type slowSink struct{}

func (slowSink) Write(p []byte) (int, error) { return len(p), nil }

func (slowSink) Finish(ctx context.Context) filters.Verdict { <-ctx.Done(); return filters.Verdict{} }

// Each message has sinks of its own.
func TestSeveralMessages(t *testing.T) {
	var sinks []*sink
	f := &stub{name: "f", open: func(tx *filters.Transaction) io.Writer {
		s := &sink{}
		if tx.Number == 1 {
			s.end = reject()
		}
		sinks = append(sinks, s)
		return s
	}}
	k := start(t, filters.Rcpt, entry(f))
	d := k.until(filters.EOM)
	wantAction(t, d, filters.Reject)
	k.Done(told(d))
	for range 2 {
		k.Mail(alice, 0)
		if k.Transaction().Size != 0 || k.Transaction().Header != nil || len(k.Transaction().Rcpts) != 0 {
			t.Fatalf("left over: %+v", k.Transaction())
		}
		for s, d := range k.after(filters.Mail) {
			if d.Action != filters.Continue {
				t.Errorf("at %v: %v", s, d.Action)
			}
		}
		k.Done(taken)
	}
	if len(sinks) != 3 {
		t.Fatalf("%d sinks for 3 messages", len(sinks))
	}
	for i, s := range sinks {
		if s.got.String() != content || s.finishes != 1 {
			t.Errorf("sink %d got %q, asked %d times", i, s.got.String(), s.finishes)
		}
	}
	if got := k.messages(); got != "refused, accepted, accepted" {
		t.Errorf("log = %s", got)
	}
}

// A message that is settled before its content opens no sinks.
func TestNoSinksOnceSettled(t *testing.T) {
	opened := 0
	f := &stub{name: "f", open: func(*filters.Transaction) io.Writer { opened++; return &sink{} }}
	for _, a := range []filters.Action{filters.Discard, filters.Accept} {
		k := start(t, filters.Rcpt, one(answers{filters.Data: verdict(a)}), entry(f))
		for _, s := range dialogue {
			k.ask(s)
		}
	}
	if opened > 0 {
		t.Errorf("%d sinks opened", opened)
	}
}
