package milter_test

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	lib "github.com/d--j/go-milter"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
	"github.com/mailweir/mailweir/proxy/milter"
)

// named makes a stub that refuses each recipient by its name.
func named(name string) *stub {
	return says(filters.Rcpt, filters.Refuse("named", 550, [3]uint16{5, 7, 1}, name))
}

// swap puts another filter in the place of the one that the door has.
func (d *door) swap(f *stub) (over <-chan struct{}) {
	d.t.Helper()
	log := slog.New(slog.NewJSONHandler(d.log, nil))
	spec := chain.Spec{Kind: filters.Kind{Name: "stub", New: func(filters.Env, any) (filters.Filter, error) { return f, nil }}}
	built, err := chain.Build(filters.Env{Log: log, Now: time.Now}, []chain.Spec{spec}, chain.Options{DelayReject: filters.Rcpt})
	if err != nil {
		d.t.Fatal(err)
	}
	return d.Swap(milter.Options{
		Name: "swapped", Hostname: "weir.example", Log: log, Chain: built,
		MaxConnections: 100, MaxPacket: 1 << 20, Timeouts: patient,
	})
}

// answered plays a message to RCPT and returns who answered that.
func (m *mta) answered(from filters.Stage) string {
	m.door.t.Helper()
	for s := from; s < filters.Rcpt; s++ {
		if w := m.event(s, hello); w != "continue" {
			m.door.t.Fatalf("%v: %s", s, w)
		}
	}
	w := m.event(filters.Rcpt, hello)
	if len(w) < 13 {
		m.door.t.Fatal(w)
	}
	return w[10:13]
}

func isOver(over <-chan struct{}) bool {
	select {
	case <-over:
		return true
	case <-time.After(20 * time.Millisecond):
		return false
	}
}

func waitOver(t *testing.T, over <-chan struct{}) {
	t.Helper()
	select {
	case <-over:
	case <-time.After(10 * time.Second):
		t.Error("the former chain is in use")
	}
}

// An SMTP session keeps its chain, and the next one on the same connection gets
// the new one.
func TestSwap(t *testing.T) {
	d := open(t, named("one"))
	m, silent := d.ask(), d.ask()
	if got := m.answered(filters.Connect); got != "one" {
		t.Error(got)
	}
	over := d.swap(named("two"))
	if err := m.Abort(nil); err != nil {
		t.Fatal(err)
	}
	if got := m.answered(filters.Mail); got != "one" {
		t.Errorf("in the session: %s", got)
	}
	if got := silent.answered(filters.Connect); got != "two" {
		t.Errorf("in a session that begins on a connection which waited: %s", got)
	}
	if isOver(over) {
		t.Error("over, and a session is under way")
	}
	if err := m.Reset(m.macros); err != nil {
		t.Fatal(err)
	}
	if got := m.answered(filters.Connect); got != "two" {
		t.Errorf("in the next session: %s", got)
	}
	waitOver(t, over)
	if r := d.records("refused"); r[len(r)-1].str("listener") != "swapped" {
		t.Errorf("the listener's name: %v", r)
	}
	if got := d.ask().answered(filters.Connect); got != "two" {
		t.Errorf("on a new connection: %s", got)
	}
}

// A connection that agreed on less than the new chain needs stays with the
// former one.
func TestSwapNeedsMore(t *testing.T) {
	d := open(t, named("one"))
	m := d.ask()
	over := d.swap(&stub{
		at: map[filters.Stage]func(context.Context, *filters.Transaction) filters.Verdict{
			filters.Rcpt: func(context.Context, *filters.Transaction) filters.Verdict {
				return filters.Refuse("named", 550, [3]uint16{5, 7, 1}, "two")
			},
		},
		body: func(*filters.Transaction) io.Writer { return nil },
	})
	for range 2 {
		if got := m.answered(filters.Connect); got != "one" {
			t.Error(got)
		}
		if err := m.Reset(m.macros); err != nil {
			t.Fatal(err)
		}
	}
	if got := d.ask().answered(filters.Connect); got != "two" {
		t.Error(got)
	}
	if isOver(over) {
		t.Error("over, and a connection is there")
	}
	m.Close()
	waitOver(t, over)
}

// A swap without connections is over at once.
func TestSwapIdle(t *testing.T) {
	d := open(t, named("one"))
	over := d.swap(named("two"))
	waitOver(t, over)
	waitOver(t, d.swap(named("six")))
	if got := d.ask(lib.WithReadTimeout(10 * time.Second)).answered(filters.Connect); got != "six" {
		t.Error(got)
	}
}
