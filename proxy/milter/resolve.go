package milter

import (
	"slices"
	"strings"

	"github.com/mailweir/mailweir/filters"
)

// slot is a header field that edits are about: one of the message, or one that
// an edit puts in.
type slot struct {
	name    string
	value   string
	nth     int // of its name in the message, from 1; 0 if it is put in
	edit    int // which puts it in
	changed bool
	removed bool
}

// resolve returns edits that mean the same in any order. Filters count what
// earlier ones have put in and taken out, which an MTA that is told to change
// first, to remove then and to add at last does not: a field of the message is
// changed or removed but once, and one that is put in is put in as it is at the
// end, if it still is.
func resolve(header filters.Header, edits []filters.Edit) []filters.Edit {
	slots := slotsOf(header)
	list := make([]filters.Edit, len(edits))
	for i, edit := range edits {
		switch e := edit.(type) {
		case filters.AddField:
			slots = append(slots, slot{name: e.Name, value: e.Value, edit: i})
		case filters.InsertField:
			at := min(max(e.Index-1, 0), len(slots))
			slots = slices.Insert(slots, at, slot{name: e.Name, value: e.Value, edit: i})
		case filters.ChangeField:
			if f := findSlot(slots, e.Name, e.Nth); f != nil {
				f.value, f.changed, f.removed = e.Value, true, false
			} else {
				slots = append(slots, slot{name: e.Name, value: e.Value, edit: i})
			}
		case filters.RemoveField:
			if f := findSlot(slots, e.Name, e.Nth); f != nil {
				f.removed = true
			}
		default:
			list[i] = e
		}
	}
	for _, f := range slots {
		switch {
		case f.nth == 0 && !f.removed:
			list[f.edit] = f.putIn(edits[f.edit])
		case f.nth > 0 && f.removed:
			list = append(list, filters.RemoveField{Name: f.name, Nth: f.nth})
		case f.nth > 0 && f.changed:
			list = append(list, filters.ChangeField{Name: f.name, Nth: f.nth, Value: f.value})
		}
	}
	return slices.DeleteFunc(list, func(e filters.Edit) bool { return e == nil })
}

// putIn is the edit that puts the field in, with its value as it is at last.
func (f slot) putIn(e filters.Edit) filters.Edit {
	if i, ok := e.(filters.InsertField); ok {
		return filters.InsertField{Index: i.Index, Name: f.name, Value: f.value}
	}
	return filters.AddField{Name: f.name, Value: f.value}
}

func slotsOf(header filters.Header) []slot {
	slots := make([]slot, len(header))
	count := map[string]int{}
	for i, f := range header {
		lower := strings.ToLower(f.Name)
		count[lower]++
		slots[i] = slot{name: f.Name, nth: count[lower]}
	}
	return slots
}

// findSlot returns the nth field of that name, those removed included.
func findSlot(slots []slot, name string, nth int) *slot {
	for i := range slots {
		if strings.EqualFold(slots[i].name, name) {
			if nth--; nth == 0 {
				return &slots[i]
			}
		}
	}
	return nil
}
