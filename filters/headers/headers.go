// Package headers adds, changes and removes header fields.
package headers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mailweir/mailweir/filters"
)

const doc = `Adds, changes and removes header fields.

The filter is asked at the end of the message, and finds nothing: it edits. Put
it last, for it sees no more than what the entries before it have found. It is
not asked about messages that an earlier entry accepted. With action: ignore
what it would have edited is logged.

Example:

    - headers: {trace: true, remove: [X-Mailweir, X-Spam-*], add: [{name: X-Client, value: "{{.Client}}"}]}

The edits are made in this order, whatever that of the options:

    remove    all fields of these names; a * at the end stands for any rest.
              What replace lists is spared
    replace   all fields of the name become one, in the place of the first; if
              there is none, one is added
    insert    a field above others; several of one index stand in the order in
              which they are listed. Numbers above 1 mean what the MTA counts,
              and MTAs differ in that
    trace     a field at the very top
    add       a field at the end

An upstream that gets another From, To, Date, Content-Type, Content-Transfer-
Encoding or MIME-Version may no longer be able to read the message, and
signatures (DKIM) of fields that are changed or removed break.

A value is a text with actions in braces, as of Go's text/template:

    {{.ID}}        of the transaction, as in the log
    {{.Listener}}  its name
    {{.Hostname}}  our own name
    {{.Client}}    the client's address without port, or "unknown"
    {{.Helo}}      the client's HELO or EHLO name
    {{.From}}      the reverse-path without brackets, empty for notifications
    {{.Rcpts}}     the recipients, as a, b, c: they show who was meant by Bcc
    {{.Size}}      octets of the message as it came
    {{.Date}}      now, as in a Date field
    {{.Findings}}  as in the trace field, empty for none

    {{header "Subject"}}  the message's first field of that name, as it came
    {{fact "kind.word"}}  a fact that a filter has set

A field or fact that is not there is empty. A value that comes out empty makes
no field, so that a field can depend on something:

    value: '{{if eq .Listener "mx"}}outside{{end}}'

What comes out is made fit for a field: white space and line ends become one
space, control characters become "?", and text beyond 8 KiB is cut off. Words
that are not ASCII become encoded words (RFC 2047), unless the client has asked
for SMTPUTF8. Lines are folded at 78 columns, between words; words beyond 900
octets are broken. A template that fails on a message is settled by on_error, and
so is a fact that could not be learnt.

The trace field is for those who look into a message later:

    X-Mailweir: id=b1ex627bgx3j.1; host=mx.example.org; listener=mx;
     client=192.0.2.1; helo=mail.example.com;
     findings=helo:helo_not_fqdn(ignored) rcpt:relay_denied(reject)

Its items always stand in this order. A finding is the entry's name, the reason,
and what was done: an action as in the log, or "ignored". Those of the session
come first; findings=none tells that there were none. Characters in names other
than letters, digits and .:%_/[]- are shown as "?", and names are cut after 64.
Fields of that name that the client sent stay below ours, unless remove takes
them out.
`

// Config is the configuration of one filter.
type Config struct {
	Remove    []Pattern   `yaml:"remove" doc:"names of fields to take out, wherever they stand; X-Spam-* is all names that begin so"`
	Replace   []Field     `yaml:"replace" doc:"fields to stand in place of all of their name; each with name and value"`
	Insert    []Insertion `yaml:"insert" doc:"fields to put above others; each with name, value and perhaps index: 1, the default, is in front of the message's first field, 0 above the Received field of the MTA"`
	Add       []Field     `yaml:"add" doc:"fields to put at the end of the header section; each with name and value"`
	Trace     bool        `yaml:"trace" doc:"put a trace field at the top, with id, client and findings"`
	TraceName Name        `yaml:"trace_name" doc:"what the trace field is called"`
}

// Field is a header field to write.
type Field struct {
	Name  Name     `yaml:"name" required:"true" doc:"the field's name"`
	Value Template `yaml:"value" required:"true" doc:"text with actions such as {{.Client}}"`
}

// Insertion is a field with its place.
type Insertion struct {
	Field `yaml:",inline"`
	Index *int `yaml:"index" min:"0" max:"1000" doc:"1 is in front of the message's first field, 0 above the Received field of the MTA"`
}

// place returns the index, or its default.
func (i Insertion) place() int {
	if i.Index == nil {
		return 1
	}
	return *i.Index
}

// Kind describes these filters. They wait for facts that are still being
// learnt.
var Kind = filters.Define(filters.Kind{
	Name:    "headers",
	Doc:     doc,
	Needs:   filters.EditHeader,
	Timeout: 10 * time.Second,
}, Config{TraceName: "X-Mailweir"}, build)

var (
	_ filters.HeaderFilter  = (*filter)(nil)
	_ filters.MessageFilter = (*filter)(nil)
	_ filters.Stager        = (*filter)(nil)
)

type filter struct {
	Config
	now func() time.Time
}

func build(env filters.Env, c *Config) (filters.Filter, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	f := &filter{*c, env.Now}
	// Fields inserted at one place push each other down, and those at a greater
	// index must not be pushed by those at a lesser.
	f.Insert = slices.Clone(c.Insert)
	slices.Reverse(f.Insert)
	slices.SortStableFunc(f.Insert, func(a, b Insertion) int { return cmp.Compare(b.place(), a.place()) })
	return f, nil
}

func (c *Config) check() error {
	var errs []error
	complete := func(option string, f Field) {
		if f.Name == "" || f.Value.parsed == nil {
			errs = append(errs, fmt.Errorf("%s: a field without name or value", option))
		}
	}
	for i, f := range c.Replace {
		complete("replace", f)
		if slices.ContainsFunc(c.Replace[:i], func(e Field) bool { return f.Name.is(string(e.Name)) }) {
			errs = append(errs, fmt.Errorf("replace: %s stands there twice", f.Name))
		}
	}
	for _, f := range c.Insert {
		complete("insert", f.Field)
		if f.place() < 0 {
			errs = append(errs, fmt.Errorf("insert: index %d: want 0 or more", f.place()))
		}
	}
	for _, f := range c.Add {
		complete("add", f)
	}
	return errors.Join(errs...)
}

// Stages returns none for a filter that has nothing to edit.
func (f *filter) Stages() filters.Stages {
	if !f.Trace && len(f.Remove)+len(f.Replace)+len(f.Insert)+len(f.Add) == 0 {
		return 0
	}
	return filters.StageSet(filters.EOH, filters.EOM)
}

// Header finds nothing. Being asked makes the front end keep the header
// section, for Message.
func (f *filter) Header(context.Context, *filters.Transaction) filters.Verdict {
	return filters.Verdict{}
}

// Message makes the edits.
func (f *filter) Message(ctx context.Context, t *filters.Transaction) filters.Verdict {
	edits, err := f.edits(ctx, t)
	if err != nil {
		return filters.Failed(err)
	}
	for _, e := range edits {
		if err := t.Edit(e); err != nil {
			return filters.Failed(err)
		}
	}
	return filters.Verdict{}
}

// edits returns what to do, removals first: they are by number, which fields
// that we put in would shift.
func (f *filter) edits(ctx context.Context, t *filters.Transaction) ([]filters.Edit, error) {
	m := newMessage(ctx, t, f.now())
	has := countFields(t)
	edits := f.removals(has)
	for _, r := range f.Replace {
		value, err := m.value(r)
		if err != nil {
			return nil, err
		}
		edits = append(edits, replacement(r.Name, value, has)...)
	}
	for _, i := range f.Insert {
		value, err := m.value(i.Field)
		if err != nil {
			return nil, err
		}
		if value != "" {
			edits = append(edits, filters.InsertField{Index: i.place(), Name: string(i.Name), Value: value})
		}
	}
	if f.Trace {
		value := fold(f.TraceName, trace(t))
		edits = append(edits, filters.InsertField{Index: 0, Name: string(f.TraceName), Value: value})
	}
	for _, a := range f.Add {
		value, err := m.value(a)
		if err != nil {
			return nil, err
		}
		if value != "" {
			edits = append(edits, filters.AddField{Name: string(a.Name), Value: value})
		}
	}
	return edits, nil
}

// removals takes out what Remove says.
func (f *filter) removals(has []fieldCount) []filters.Edit {
	var edits []filters.Edit
	for _, c := range has {
		replaced := slices.ContainsFunc(f.Replace, func(r Field) bool { return r.Name.is(c.name) })
		if !replaced && slices.ContainsFunc(f.Remove, func(p Pattern) bool { return p.matches(c.name) }) {
			edits = append(edits, c.removeFrom(1)...)
		}
	}
	return edits
}

// replacement leaves one field of the name, or none if the value is empty.
func replacement(name Name, value string, has []fieldCount) []filters.Edit {
	var edits []filters.Edit
	from := 2
	if value == "" {
		from = 1
	}
	for _, c := range has {
		if name.is(c.name) {
			edits = append(edits, c.removeFrom(from)...)
		}
	}
	if value != "" {
		edits = append(edits, filters.ChangeField{Name: string(name), Nth: 1, Value: value})
	}
	return edits
}

// fieldCount is how many fields there are of a name.
type fieldCount struct {
	name string
	n    int
}

// countFields counts the message's fields and those that earlier filters put
// in, by their names in the order in which they come first.
func countFields(t *filters.Transaction) []fieldCount {
	var counts []fieldCount
	at := map[string]int{} // by name in lower case
	count := func(name string) *fieldCount {
		lower := strings.ToLower(name)
		i, ok := at[lower]
		if !ok {
			i = len(counts)
			at[lower], counts = i, append(counts, fieldCount{name: name})
		}
		return &counts[i]
	}
	for _, f := range t.Header {
		count(f.Name).n++
	}
	for _, e := range t.Edits() {
		switch e := e.(type) {
		case filters.AddField:
			count(e.Name).n++
		case filters.InsertField:
			count(e.Name).n++
		case filters.ChangeField:
			if c := count(e.Name); e.Nth > c.n {
				c.n++
			}
		}
	}
	return counts
}

// removeFrom takes out the fields from the nth on, the last first: their
// numbers hold even where an MTA counts again after each.
func (c fieldCount) removeFrom(nth int) []filters.Edit {
	var edits []filters.Edit
	for n := c.n; n >= nth; n-- {
		edits = append(edits, filters.RemoveField{Name: c.name, Nth: n})
	}
	return edits
}
