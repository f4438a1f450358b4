package milter

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	lib "github.com/d--j/go-milter"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
)

// apply has the MTA make the edits, and set the message aside if d says so.
// What cannot be done is no reason to let the message pass without it.
func (s *session) apply(m lib.Modifier, d chain.Decision) chain.Decision {
	edits := s.run.Transaction().Edits()
	if m.Protocol()&lib.OptNoHeaders == 0 {
		edits = resolve(s.content.fields, edits)
	}
	err := makeEdits(m, edits)
	if err == nil && d.Action == filters.Quarantine {
		err = m.Quarantine(s.quarantineReason(d))
	}
	if err == nil {
		return d
	}
	s.log("cannot change the message", "error", err)
	s.content.unedited = true
	refused := notEdited
	refused.Text += " (id " + s.id() + ")"
	return chain.Decision{Action: filters.TempFail, Reply: refused}
}

// quarantineReason is what the MTA shows with the message it holds.
func (s *session) quarantineReason(d chain.Decision) string {
	text := d.Reply.Text
	if text == "" {
		text = "Set aside by mailweir"
	}
	if !strings.Contains(text, s.id()) {
		text += " (id " + s.id() + ")"
	}
	return text
}

// makeEdits makes the edits in an order that means the same to all MTAs. Places
// are counted before any removal, so fields are changed first, then removed,
// from the last to the first since Postfix renumbers those that are left, and
// then added. The rest goes by the order in which filters asked. Of other
// bodies the last one wins; it is sent in one run, as Postfix wants it.
func makeEdits(m lib.Modifier, edits []filters.Edit) error {
	var body io.Reader
	for _, e := range ordered(edits) {
		var err error
		switch e := e.(type) {
		case filters.ReplaceBody:
			body = e.Body
		case filters.AddField:
			err = m.AddHeader(e.Name, fieldValue(m, e.Value))
		case filters.InsertField:
			err = m.InsertHeader(e.Index, e.Name, fieldValue(m, e.Value))
		case filters.ChangeField:
			err = m.ChangeHeader(e.Nth, e.Name, fieldValue(m, e.Value))
		case filters.RemoveField:
			err = m.ChangeHeader(e.Nth, e.Name, "")
		case filters.ChangeSender:
			err = m.ChangeFrom(e.From.Raw, e.From.Params)
		case filters.AddRcpt:
			err = m.AddRecipient(e.To.Raw, e.To.Params)
		case filters.RemoveRcpt:
			err = m.DeleteRecipient(e.Raw)
		default:
			err = fmt.Errorf("cannot be done here")
		}
		if err != nil {
			return fmt.Errorf("%T: %w", e, err)
		}
	}
	if body == nil {
		return nil
	}
	return replaceBody(m, body)
}

// ordered returns the edits in the order in which they are made.
func ordered(edits []filters.Edit) []filters.Edit {
	rank := func(e filters.Edit) int {
		switch e.(type) {
		case filters.ChangeField:
			return 0
		case filters.RemoveField:
			return 1
		}
		return 2
	}
	list := slices.Clone(edits)
	slices.SortStableFunc(list, func(a, b filters.Edit) int {
		if ra, ok := a.(filters.RemoveField); ok {
			if rb, ok := b.(filters.RemoveField); ok {
				return cmp.Or(cmp.Compare(rb.Nth, ra.Nth), strings.Compare(strings.ToLower(ra.Name), strings.ToLower(rb.Name)))
			}
		}
		return cmp.Compare(rank(a), rank(b))
	})
	return slices.CompactFunc(list, sameRemoval)
}

// sameRemoval finds fields that two filters remove: on Postfix the second
// removal would take away another one.
func sameRemoval(a, b filters.Edit) bool {
	ra, ok := a.(filters.RemoveField)
	rb, ok2 := b.(filters.RemoveField)
	return ok && ok2 && ra.Nth == rb.Nth && strings.EqualFold(ra.Name, rb.Name)
}

// fieldValue is a value as the MTA wants it: with its space if that was agreed
// upon. A value of nothing at all would remove the field.
func fieldValue(m lib.Modifier, value string) string {
	value = strings.TrimLeft(value, " ")
	if value == "" || m.Protocol()&lib.OptHeaderLeadingSpace != 0 {
		return " " + value
	}
	return value
}

// replaceBody sends another body. An empty one needs a packet of its own.
func replaceBody(m lib.Modifier, body io.Reader) error {
	first := make([]byte, 1)
	n, err := io.ReadFull(body, first)
	switch {
	case err == io.EOF:
		err = m.ReplaceBodyRawChunk(nil)
	case err == nil:
		err = m.ReplaceBody(io.MultiReader(bytes.NewReader(first[:n]), body))
	}
	if err != nil {
		return fmt.Errorf("another body: %w", err)
	}
	return nil
}
