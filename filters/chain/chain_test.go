package chain_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
)

// bare has one stage only, and no Stager.
type bare struct{}

func (bare) Mail(context.Context, *filters.Transaction) filters.Verdict { return filters.Verdict{} }

func TestBuildCollectsErrorsAndCloses(t *testing.T) {
	var calls []string
	fails := func(name string) chain.Spec {
		return chain.Spec{Pos: name + ".yaml:1:1", Kind: filters.Kind{Name: name,
			New: func(filters.Env, any) (filters.Filter, error) { return nil, errBoom }}}
	}
	_, err := chain.Build(env(new(bytes.Buffer)), []chain.Spec{
		entry(&stub{name: "a", calls: &calls}), fails("b"),
		entry(&stub{name: "c", calls: &calls}), fails("d"),
		{Kind: filters.Kind{Name: "e", Reads: []filters.FactInfo{{Name: "x"}},
			New: func(filters.Env, any) (filters.Filter, error) { return bare{}, nil }}},
	}, chain.Options{})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"b.yaml:1:1: b: boom", "d.yaml:1:1: d: boom", "e: reads the fact x"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q lacks %q", err, want)
		}
	}
	if !errors.Is(err, errBoom) {
		t.Error("the cause is lost")
	}
	if !slices.Equal(calls, []string{"a.close", "c.close"}) {
		t.Errorf("calls = %v, want those built closed", calls)
	}
}

func TestCloseTellsAllErrors(t *testing.T) {
	var calls []string
	c := build(t, io.Discard, chain.Options{},
		entry(&stub{name: "a", calls: &calls, close: func() error { return errBoom }}),
		chain.Spec{Kind: filters.Kind{Name: "bare", New: func(filters.Env, any) (filters.Filter, error) { return bare{}, nil }}},
		entry(&stub{name: "b", calls: &calls, close: func() error { return io.ErrUnexpectedEOF }}))
	err := c.Close()
	if !errors.Is(err, errBoom) || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("Close = %v", err)
	}
	if !slices.Equal(calls, []string{"a.close", "b.close"}) {
		t.Errorf("calls = %v", calls)
	}
}

func TestEnvOfAFilterNamesIt(t *testing.T) {
	var log bytes.Buffer
	build(t, &log, chain.Options{}, chain.Spec{Name: "inner", Kind: filters.Kind{Name: "k",
		New: func(e filters.Env, _ any) (filters.Filter, error) { e.Log.Info("hello"); return bare{}, nil }}})
	if list := records(t, &log); len(list) != 1 || list[0].str("filter") != "inner" {
		t.Errorf("log = %v", list)
	}
}

func TestForListener(t *testing.T) {
	var calls []string
	on := func(names ...string) func(*chain.Spec) {
		return func(s *chain.Spec) { s.Listeners = names }
	}
	f := func(name string) *stub {
		return &stub{name: name, finds: answers{filters.Connect: {}}, calls: &calls}
	}
	c := build(t, io.Discard, chain.Options{},
		entry(f("all")), entry(f("mx"), on("mx")), entry(f("both"), on("sub", "mx")), entry(f("sub"), on("sub")))
	for listener, want := range map[string]string{
		"mx": "all.connect mx.connect both.connect", "sub": "all.connect both.connect sub.connect", "other": "all.connect",
	} {
		calls = nil
		c.For(listener).Start(context.Background(), session()).Connect()
		if got := strings.Join(calls, " "); got != want {
			t.Errorf("%s: %s, want %s", listener, got, want)
		}
	}
}

func TestWantsAndFits(t *testing.T) {
	at := func(s *chain.Spec) { s.Pos = "c.yaml:3:5" }
	c := build(t, io.Discard, chain.Options{},
		one(answers{filters.Connect: {}, filters.Command: {}}),
		entry(&stub{name: "scan", finds: answers{filters.EOM: {}}}, needs(filters.WholeMessage|filters.DoQuarantine), at))
	stages, need := c.Wants()
	if want := filters.StageSet(filters.Connect, filters.Command, filters.EOM); stages != want {
		t.Errorf("stages = %v, want %v", stages, want)
	}
	if need != filters.WholeMessage|filters.DoQuarantine {
		t.Errorf("needs = %v", need)
	}
	if err := c.Fits(filters.Offers{Stages: filters.AllStages, Needs: need}); err != nil {
		t.Errorf("Fits = %v", err)
	}
	err := c.Fits(filters.Offers{Stages: filters.AllStages &^ filters.StageSet(filters.Command), Needs: filters.WholeMessage})
	want := "f: this listener has no stage command\nc.yaml:3:5: scan: this listener cannot quarantine"
	if err == nil || err.Error() != want {
		t.Errorf("Fits = %v, want %s", err, want)
	}
}

func TestObservedEntryChangesNothing(t *testing.T) {
	c := build(t, io.Discard, chain.Options{},
		entry(&stub{name: "scan", finds: answers{filters.EOM: {}}}, needs(filters.WholeMessage|filters.DoQuarantine|filters.EditHeader), doing(chain.Ignore)))
	if _, need := c.Wants(); need != filters.WholeMessage {
		t.Errorf("needs = %v", need)
	}
	if err := c.Fits(filters.Offers{Stages: filters.AllStages, Needs: filters.WholeMessage}); err != nil {
		t.Errorf("Fits = %v", err)
	}
}

// limit is a filter with something to announce.
type limit struct{ n int64 }

func (l limit) Announce(a *filters.Announcement) { a.LimitSize(l.n); a.LimitRcpts(int(l.n)) }

func TestAnnounce(t *testing.T) {
	spec := func(n int64, a chain.Action) chain.Spec {
		return chain.Spec{Action: a, Kind: filters.Kind{Name: "size",
			New: func(filters.Env, any) (filters.Filter, error) { return limit{n}, nil }}}
	}
	c := build(t, io.Discard, chain.Options{},
		spec(300, chain.Enforce), spec(100, chain.Ignore), spec(200, chain.Drop), spec(0, chain.Enforce))
	if a := c.Announce(); a.Size != 200 || a.Rcpts != 200 {
		t.Errorf("Announce = %+v, want the least that is enforced", a)
	}
}

func TestWordsOfEntries(t *testing.T) {
	for _, a := range []chain.Action{chain.Enforce, chain.Ignore, chain.Drop} {
		text, _ := a.MarshalText()
		var back chain.Action
		if err := back.UnmarshalText(text); err != nil || back != a {
			t.Errorf("%s came back as %v, %v", text, back, err)
		}
	}
	for _, o := range []chain.OnError{chain.ErrorTempFail, chain.ErrorContinue, chain.ErrorReject} {
		text, _ := o.MarshalText()
		var back chain.OnError
		if err := back.UnmarshalText(text); err != nil || back != o {
			t.Errorf("%s came back as %v, %v", text, back, err)
		}
	}
	var a chain.Action
	err := a.UnmarshalText([]byte("Drop"))
	if err == nil || err.Error() != `"Drop" is none of ["enforce" "ignore" "drop"]` {
		t.Errorf("err = %v", err)
	}
	if !slices.Equal(a.Words(), []string{"enforce", "ignore", "drop"}) || len(chain.OnError(0).Words()) != 3 {
		t.Error("Words are not those that are spelt")
	}
}
