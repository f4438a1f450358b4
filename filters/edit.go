package filters

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// Edit is a change to a message or its envelope. A front end makes the edits
// at the end of the message, in the order in which the filters asked for them,
// and only if the message is accepted. An edit sees what earlier ones have put
// in; what they have taken out keeps its place in the count.
type Edit interface {
	needs() Needs
	check() error
}

// AddField adds a field at the end of the header section. In this and other
// edits, Value is what stands after the colon and a space; folds are in it.
type AddField struct{ Name, Value string }

// InsertField puts a field at a place of the header section: 0 is the top,
// above a Received field that the MTA itself adds; 1 is below it, in front of
// the message's first field.
type InsertField struct {
	Index       int
	Name, Value string
}

// ChangeField gives a field another value: the Nth of that name, from 1. A
// field that is not there is added at the end.
type ChangeField struct {
	Name  string
	Nth   int
	Value string
}

// RemoveField takes a field out: the Nth of that name, from 1.
type RemoveField struct {
	Name string
	Nth  int
}

// ChangeSender gives the message another reverse-path. Raw and Params count.
type ChangeSender struct{ From Path }

// AddRcpt adds a recipient. Raw and Params count.
type AddRcpt struct{ To Path }

// RemoveRcpt takes a recipient away, by the path with its angle brackets.
type RemoveRcpt struct{ Raw string }

// ReplaceBody puts another body in place of the message's. It is read once;
// its lines may end in LF.
type ReplaceBody struct{ Body io.Reader }

func (AddField) needs() Needs     { return EditHeader }
func (InsertField) needs() Needs  { return EditHeader }
func (ChangeField) needs() Needs  { return EditHeader }
func (RemoveField) needs() Needs  { return EditHeader }
func (ChangeSender) needs() Needs { return EditSender }
func (AddRcpt) needs() Needs      { return EditRcpt }
func (RemoveRcpt) needs() Needs   { return EditRcpt }
func (ReplaceBody) needs() Needs  { return EditBody }

func (e AddField) check() error { return checkField(e.Name, e.Value) }
func (e InsertField) check() error {
	return errors.Join(checkPlace(e.Index, 0), checkField(e.Name, e.Value))
}
func (e ChangeField) check() error {
	return errors.Join(checkPlace(e.Nth, 1), checkField(e.Name, e.Value))
}
func (e RemoveField) check() error  { return errors.Join(checkPlace(e.Nth, 1), checkField(e.Name, "")) }
func (e ChangeSender) check() error { return checkPath(e.From.Raw, e.From.Params) }
func (e AddRcpt) check() error      { return checkPath(e.To.Raw, e.To.Params) }
func (e RemoveRcpt) check() error   { return checkPath(e.Raw, "") }

func (e ReplaceBody) check() error {
	if e.Body == nil {
		return errors.New("no body to put in place")
	}
	return nil
}

// ErrNotOffered is returned for an edit that the filter's Kind did not declare
// among its Needs, or that is asked for outside of a stage method.
var ErrNotOffered = errors.New("edit not among the needs of its kind")

// Edit asks for a change. It fails, and changes nothing, with ErrNotOffered or
// when the edit would break the message: a value with a line that is no
// continuation, a name that is none.
func (t *Transaction) Edit(e Edit) error {
	if e.needs()&t.allowed == 0 {
		return fmt.Errorf("%T: %w", e, ErrNotOffered)
	}
	if err := e.check(); err != nil {
		return fmt.Errorf("%T: %w", e, err)
	}
	t.edits = append(t.edits, e)
	return nil
}

// Edits returns the changes to make, in order.
func (t *Transaction) Edits() []Edit { return t.edits }

// Allow sets what Edit may be asked for. The chain calls it around each
// filter, and with 0 in between.
func (t *Transaction) Allow(n Needs) { t.allowed = n }

// KeepEdits drops all edits but the first n. The chain calls it to take back
// those of a filter that is only observed, and at the end of the transaction.
func (t *Transaction) KeepEdits(n int) {
	clear(t.edits[n:])
	t.edits = t.edits[:n]
}

func checkPlace(n, least int) error {
	if n < least {
		return fmt.Errorf("place %d: want %d or more", n, least)
	}
	return nil
}

// checkField refuses what would end the field or the header section.
func checkField(name, value string) error {
	if !IsFieldName(name) {
		return fmt.Errorf("%q is no field name", name)
	}
	if strings.IndexByte(value, 0) >= 0 {
		return errors.New("NUL in a field's value")
	}
	for i, line := range strings.Split(strings.ReplaceAll(value, "\r\n", "\n"), "\n") {
		if strings.IndexByte(line, '\r') >= 0 {
			return errors.New("bare CR in a field's value")
		}
		if i > 0 && (strings.Trim(line, " \t") == "" || line[0] != ' ' && line[0] != '\t') {
			return errors.New("a further line of a field's value must begin with a space and not be empty")
		}
	}
	return nil
}

func checkPath(raw, params string) error {
	if len(raw) < 2 || raw[0] != '<' || raw[len(raw)-1] != '>' || strings.ContainsAny(raw+params, "\r\n\x00") {
		return fmt.Errorf("%q is no path", raw)
	}
	return nil
}
