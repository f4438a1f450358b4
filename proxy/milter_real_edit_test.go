package proxy_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// A milterEdit is what a filter changes, and what arrives then in place of the
// message that editMessage sends.
type milterEdit struct {
	name   string
	edits  []filters.Edit
	names  string            // of the fields; plainNames if ""
	differ map[string]string // names with this MTA
	values map[string]string // of fields, as fieldsOf has them
	from   string            // a@test.example if "", "<>" for none
	rcpts  string            // b@test.example c@test.example if ""
	other  string            // a body to put in its place, "empty" for an empty one
	body   string            // plainBody if "" and there is no other
}

const (
	plainNames = "Received Date From To Message-ID X-A X-B X-A X-C Subject"
	plainBody  = "first\r\n..second\r\n\r\nlast\r\n"
)

// longBody takes several packets.
var longBody = strings.Repeat("0123456789abcdef 0123456789abcdef\r\n", 9000)

func to(address string) filters.Path { return filters.Path{Raw: "<" + address + ">"} }

var milterEdits = []milterEdit{
	{name: "none"},
	{
		name:   "add",
		edits:  []filters.Edit{filters.AddField{Name: "X-New", Value: "new"}},
		names:  plainNames + " X-New",
		values: map[string]string{"X-New": "new"},
	},
	{
		name:   "add folded",
		edits:  []filters.Edit{filters.AddField{Name: "X-New", Value: "new\n and\n\tnewer"}},
		names:  plainNames + " X-New",
		values: map[string]string{"X-New": "new and newer"},
	},
	{
		name:   "add one of a name that is there",
		edits:  []filters.Edit{filters.AddField{Name: "X-C", Value: "new"}},
		names:  plainNames + " X-C",
		differ: map[string]string{sendmail: "Received Date From To Message-ID X-A X-B X-A X-C X-C Subject"},
	},
	{
		name:   "insert at the top",
		edits:  []filters.Edit{filters.InsertField{Index: 0, Name: "X-New", Value: "new"}},
		names:  "X-New " + plainNames,
		values: map[string]string{"X-New": "new"},
	},
	{
		name:   "insert below Received",
		edits:  []filters.Edit{filters.InsertField{Index: 1, Name: "X-New", Value: "new"}},
		names:  "Received X-New Date From To Message-ID X-A X-B X-A X-C Subject",
		values: map[string]string{"X-New": "new"},
	},
	{
		name:   "insert at the end",
		edits:  []filters.Edit{filters.InsertField{Index: 100, Name: "X-New", Value: "new"}},
		names:  plainNames + " X-New",
		values: map[string]string{"X-New": "new"},
	},
	{
		name:   "change",
		edits:  []filters.Edit{filters.ChangeField{Name: "X-B", Nth: 1, Value: "new"}},
		values: map[string]string{"X-B": "new"},
	},
	{
		name:   "change the second",
		edits:  []filters.Edit{filters.ChangeField{Name: "x-a", Nth: 2, Value: "new"}},
		values: map[string]string{"X-A": "one"},
		names:  plainNames, // the name stays as the message spells it
	},
	{
		name:   "change one that is not there",
		edits:  []filters.Edit{filters.ChangeField{Name: "X-New", Nth: 1, Value: "new"}},
		names:  plainNames + " X-New",
		values: map[string]string{"X-New": "new"},
	},
	{
		name:   "remove",
		edits:  []filters.Edit{filters.RemoveField{Name: "X-B", Nth: 1}},
		names:  "Received Date From To Message-ID X-A X-A X-C Subject",
		values: map[string]string{"X-A": "one", "X-A 2": "three"},
	},
	{
		name:   "remove the first",
		edits:  []filters.Edit{filters.RemoveField{Name: "X-A", Nth: 1}},
		names:  "Received Date From To Message-ID X-B X-A X-C Subject",
		values: map[string]string{"X-A": "three"},
	},
	{
		name: "remove both",
		edits: []filters.Edit{filters.RemoveField{Name: "X-A", Nth: 1},
			filters.RemoveField{Name: "X-A", Nth: 2}},
		names: "Received Date From To Message-ID X-B X-C Subject",
	},
	{
		name: "remove the first, change the second",
		edits: []filters.Edit{filters.RemoveField{Name: "X-A", Nth: 1},
			filters.ChangeField{Name: "X-A", Nth: 2, Value: "new"}},
		names:  "Received Date From To Message-ID X-B X-A X-C Subject",
		values: map[string]string{"X-A": "new"},
	},
	{
		name: "a sender", from: "new@test.example",
		edits: []filters.Edit{filters.ChangeSender{From: to("new@test.example")}},
	},
	{
		name: "no sender", from: "<>",
		edits: []filters.Edit{filters.ChangeSender{From: filters.Path{Raw: "<>"}}},
	},
	{
		name: "another recipient", rcpts: "b@test.example c@test.example new@test.example",
		edits: []filters.Edit{filters.AddRcpt{To: to("new@test.example")}},
	},
	{
		name: "a recipient less", rcpts: "c@test.example",
		edits: []filters.Edit{filters.RemoveRcpt{Raw: "<b@test.example>"}},
	},
	{
		name: "other recipients", rcpts: "new@test.example",
		edits: []filters.Edit{filters.RemoveRcpt{Raw: "<b@test.example>"},
			filters.RemoveRcpt{Raw: "<c@test.example>"}, filters.AddRcpt{To: to("new@test.example")}},
	},
	{
		name: "a body", other: "new\n.\r\nbody\n", body: "new\r\n.\r\nbody\r\n",
	},
	{
		name: "no body", other: "empty",
	},
	{
		name: "a long body", other: longBody, body: longBody,
	},
	{
		name: "everything", from: "new@test.example", rcpts: "c@test.example new@test.example",
		other: "new\r\n", body: "new\r\n",
		edits: []filters.Edit{
			filters.AddField{Name: "X-New", Value: "new"},
			filters.RemoveRcpt{Raw: "<b@test.example>"},
			filters.ChangeSender{From: to("new@test.example")},
			filters.RemoveField{Name: "X-A", Nth: 1},
			filters.AddRcpt{To: to("new@test.example")},
			filters.InsertField{Index: 0, Name: "X-Top", Value: "top"},
			filters.ChangeField{Name: "X-B", Nth: 1, Value: "B"},
		},
		names:  "X-Top Received Date From To Message-ID X-B X-A X-C Subject X-New",
		values: map[string]string{"X-A": "three", "X-B": "B"},
	},
}

// all returns the edits, the one of the body in front.
func (e milterEdit) all() []filters.Edit {
	if e.other == "" {
		return e.edits
	}
	body := filters.ReplaceBody{Body: strings.NewReader(strings.TrimPrefix(e.other, "empty"))}
	return append([]filters.Edit{body}, e.edits...)
}

// TestMilterEdits makes every edit at the end of a message.
func TestMilterEdits(t *testing.T) {
	for _, kind := range mtas {
		t.Run(kind.name, func(t *testing.T) {
			s := newTheatre(t, kind, filters.Rcpt, mtaOptions{})
			for _, e := range milterEdits {
				t.Run(e.name, func(t *testing.T) {
					s.play(script{edits: e.all()}, script{})
					e.check(t, kind, s.editMessage(t))
				})
			}
		})
	}
}

// editMessage sends a message and returns what arrives.
func (s *theatre) editMessage(t *testing.T) peer.Message {
	t.Helper()
	before := len(s.sink.Messages())
	c := peer.Dial(t, s.mta.Address())
	c.Hello()
	c.Do("250", "MAIL FROM:<a@test.example>")
	c.Do("250", "RCPT TO:<b@test.example>")
	c.Do("250", "RCPT TO:<c@test.example>")
	c.Do("354", "DATA")
	c.Write(wholeHeader + "\r\n" + peer.Stuff(plainBody) + ".\r\n")
	c.Expect("250")
	c.Quit()
	s.mta.Settle(t, time.Minute)
	messages := s.sink.Messages()[before:]
	if len(messages) == 0 {
		t.Fatal("no message arrived")
	}
	m := messages[0]
	for _, other := range messages[1:] { // one for each recipient, if the MTA likes
		m.Rcpts = append(m.Rcpts, other.Rcpts...)
	}
	return m
}

func (e milterEdit) check(t *testing.T, kind mtaKind, m peer.Message) {
	t.Helper()
	names, values := fieldsOf(t, m)
	want := e.names
	if want == "" {
		want = plainNames
	}
	if e.differ[kind.name] != "" {
		want = e.differ[kind.name]
	}
	if names != want {
		t.Errorf("the fields are\n%s, want\n%s", names, want)
	}
	for name, value := range e.values {
		if values[name] != value {
			t.Errorf("%s: %q, want %q", name, values[name], value)
		}
	}
	from := map[string]string{"": "a@test.example", "<>": ""}
	if want, ok := from[e.from]; ok && m.From != want || !ok && m.From != e.from {
		t.Errorf("from %q, want %q", m.From, e.from)
	}
	if e.rcpts == "" {
		e.rcpts = "b@test.example c@test.example"
	}
	slices.Sort(m.Rcpts)
	if got := strings.Join(m.Rcpts, " "); got != e.rcpts {
		t.Errorf("to %s, want %s", got, e.rcpts)
	}
	_, body, _ := strings.Cut(string(m.Data), "\r\n\r\n")
	if e.other == "" {
		e.body = plainBody
	}
	peer.SameText(t, body, e.body)
}
