package milter_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	lib "github.com/d--j/go-milter"
	"github.com/google/go-cmp/cmp"

	"github.com/mailweir/mailweir/filters"
)

// editing is a filter that asks for edits at the end of the message.
func editing(v filters.Verdict, edits ...filters.Edit) *stub {
	return when(filters.EOM, func(_ context.Context, t *filters.Transaction) filters.Verdict {
		for _, e := range edits {
			if err := t.Edit(e); err != nil {
				return filters.Failed(err)
			}
		}
		return v
	})
}

func body(s string) filters.ReplaceBody { return filters.ReplaceBody{Body: strings.NewReader(s)} }

func path(s string) filters.Path { return filters.Path{Raw: s} }

// The edits go out in an order that means the same to all MTAs.
func TestEdits(t *testing.T) {
	d := open(t, editing(filters.Verdict{},
		body("first"),
		filters.AddField{Name: "X-Add", Value: "1\n 2"},
		filters.RemoveField{Name: "Subject", Nth: 1},
		filters.RemoveField{Name: "Subject", Nth: 3},
		filters.RemoveField{Name: "X", Nth: 3},
		filters.RemoveField{Name: "subject", Nth: 3},
		filters.InsertField{Index: 0, Name: "X-Top", Value: " top"},
		filters.ChangeField{Name: "To", Nth: 2, Value: ""},
		filters.ChangeSender{From: path("<>")},
		filters.AddRcpt{To: filters.Path{Raw: "<c@y.example>", Params: "NOTIFY=NEVER"}},
		filters.RemoveRcpt{Raw: "<bob@y.example>"},
		body("last\n"),
	), needs(filters.Edits))
	m := d.ask()
	if w := m.play(filters.Connect, filters.EOM, hello); w != "eom accept" {
		t.Fatal(w)
	}
	want := []string{
		`ChangeHeader 2 "To" " "`,
		`ChangeHeader 3 "Subject" ""`,
		`ChangeHeader 3 "X" ""`,
		`ChangeHeader 1 "Subject" ""`,
		`AddHeader "X-Add" "1\n 2"`,
		`InsertHeader 0 "X-Top" "top"`,
		`ChangeFrom "<>" ""`,
		`AddRcpt "<c@y.example>" "NOTIFY=NEVER"`,
		`DelRcpt "<bob@y.example>"`,
		"ReplaceBody len(body) = 5 ",
	}
	last := len(m.edits) - 1
	m.edits[last], _, _ = strings.Cut(m.edits[last], "sha1")
	if diff := cmp.Diff(want, m.edits); diff != "" {
		t.Error(diff)
	}
	m.Close()
}

// With the space that was agreed upon, values have theirs.
func TestEditsLeadingSpace(t *testing.T) {
	f := editing(filters.Verdict{}, filters.AddField{Name: "X", Value: "1"})
	f.at[filters.EOH] = func(_ context.Context, tx *filters.Transaction) filters.Verdict {
		if got := tx.Header.Get("From"); got != "a@x.example" || tx.Header[0].Value != " a@x.example" {
			t.Errorf("From is %q", tx.Header[0].Value)
		}
		return filters.Verdict{}
	}
	for _, offers := range []lib.OptProtocol{0, lib.OptNoHeaderReply | lib.OptNoBody} {
		d := open(t, f, needs(filters.Edits))
		m := d.ask(lib.WithProtocol(offers))
		msg := hello
		want := `AddHeader "X" " 1"`
		if offers != 0 {
			m.Close()
			m = d.ask(lib.WithProtocols(offers))
			msg.fields = [][2]string{{"From", "a@x.example"}}
			want = `AddHeader "X" "1"`
		}
		if w := m.play(filters.Connect, filters.EOM, msg); w != "eom accept" || m.edits[0] != want {
			t.Errorf("told %q, edits %q", w, m.edits)
		}
		m.Close()
	}
}

func TestEmptyBody(t *testing.T) {
	d := open(t, editing(filters.Verdict{}, body("")), needs(filters.Edits))
	m := d.ask()
	if w := m.play(filters.Connect, filters.EOM, hello); w != "eom accept" || len(m.edits) != 1 || !strings.HasPrefix(m.edits[0], "ReplaceBody len(body) = 0") {
		t.Errorf("told %q, edits %q", w, m.edits)
	}
	m.Close()
}

// A body of many packets comes as a whole, also when the MTA offers greater ones.
func TestLargeBody(t *testing.T) {
	d := open(t, editing(filters.Verdict{}, body(strings.Repeat("x", 300_000))), needs(filters.Edits))
	m := d.ask(lib.WithOfferedMaxData(lib.DataSize1M))
	if w := m.play(filters.Connect, filters.EOM, hello); w != "eom accept" || len(m.edits) != 5 {
		t.Errorf("told %q, %d edits", w, len(m.edits))
	}
	m.Close()
}

func TestQuarantine(t *testing.T) {
	d := open(t, says(filters.Mail, verdict(filters.Quarantine)), needs(filters.DoQuarantine))
	m := d.ask()
	if w := m.play(filters.Connect, filters.EOM, hello); w != "eom accept" || len(m.edits) != 1 {
		t.Fatalf("told %q, edits %q", w, m.edits)
	}
	id := d.only("quarantined").str("id")
	if want := `Quarantine "Set aside by mailweir (id ` + id + `)"`; m.edits[0] != want {
		t.Errorf("edit %s, want %s", m.edits[0], want)
	}
	m.Close()
}

// A message does not pass without its edits.
func TestEditsNotOffered(t *testing.T) {
	for name, f := range map[string]*stub{
		"edit":       editing(filters.Verdict{}, filters.AddField{Name: "X", Value: "1"}),
		"quarantine": says(filters.Mail, verdict(filters.Quarantine)),
		"broken":     editing(filters.Verdict{}, filters.ReplaceBody{Body: broken{}}),
	} {
		d := open(t, f, needs(filters.Edits|filters.DoQuarantine))
		m := d.ask(lib.WithActions(lib.OptChangeBody))
		if w := m.play(filters.Connect, filters.EOM, hello); !strings.HasPrefix(w, "eom 451 4.3.0 The message could not be changed") {
			t.Errorf("%s: told %q", name, w)
		}
		if r := d.only("refused"); r.str("reason") != "not_edited" {
			t.Errorf("%s: log %v", name, r)
		}
		d.only("the MTA does not offer all that the chain needs")
		m.Close()
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("broken") }

type panicking struct{}

func (panicking) Read([]byte) (int, error) { panic("oops") }

// A panic of our own tells 451, for the rest of that session and of no other.
func TestPanic(t *testing.T) {
	first := true
	d := open(t, when(filters.EOM, func(_ context.Context, tx *filters.Transaction) filters.Verdict {
		if first {
			first = false
			tx.Edit(filters.ReplaceBody{Body: panicking{}})
		}
		return filters.Verdict{}
	}), needs(filters.Edits))
	m := d.ask()
	if w := m.play(filters.Connect, filters.EOM, hello); !strings.HasPrefix(w, "eom 451 4.3.0 Internal error") {
		t.Errorf("told %q", w)
	}
	if w := m.mail(); !strings.HasPrefix(w, "eom 451") { // nothing is heard before
		t.Errorf("then told %q", w)
	}
	m.Close()
	d.only("panic in a session")
	d.alive()
}

// What the relay's filters are shown, the milter's are: the whole content.
func TestBody(t *testing.T) {
	got := &sink{}
	d := open(t, &stub{body: func(*filters.Transaction) io.Writer { return got }})
	m := d.ask()
	msg := message{[][2]string{{"A", " 1\n\t2"}, {"B", "3"}}, []string{"x\r\n", "y\r\n"}}
	if w := m.play(filters.Connect, filters.EOM, msg); w != "eom accept" {
		t.Fatal(w)
	}
	if want := "A: 1\r\n\t2\r\nB:3\r\n\r\nx\r\ny\r\n"; got.got.String() != want {
		t.Errorf("got %q, want %q", got.got.String(), want)
	}
	if m.Skip() {
		t.Error("the body was skipped")
	}
	m.Close()
}

// A body that nobody reads on is skipped, and the verdict is asked for.
func TestSkip(t *testing.T) {
	got := &sink{stop: filters.ErrSkip, end: later()}
	d := open(t, &stub{body: func(*filters.Transaction) io.Writer { return got }})
	m := d.ask()
	if w := m.play(filters.Connect, filters.Body, hello); w != "body continue" || !m.Skip() {
		t.Errorf("told %q, skip %v", w, m.Skip())
	}
	if w := m.event(filters.EOM, hello); !strings.HasPrefix(w, "450 4.7.1 Soon") {
		t.Errorf("told %q", w)
	}
	m.Close()
}

// A header section without end is refused.
func TestHeaderTooLarge(t *testing.T) {
	d := open(t, says(filters.EOH, filters.Verdict{}))
	m := d.ask()
	big := message{body: []string{"x"}}
	for range 30 {
		big.fields = append(big.fields, [2]string{"X", strings.Repeat("x", 60_000)})
	}
	if w := m.play(filters.Connect, filters.EOM, big); !strings.HasPrefix(w, "eoh 552 5.3.4") {
		t.Errorf("told %q", w)
	}
	if r := d.only("refused"); r.str("filter") != "limits" || r.str("stage") != "eom" {
		t.Errorf("log %v", r)
	}
	m.Abort(nil)
	if w := m.mail(); w != "eom accept" {
		t.Errorf("the next message is told %q", w)
	}
	m.Close()
}
