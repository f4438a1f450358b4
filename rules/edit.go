package rules

import (
	"slices"
	"strings"

	"github.com/mailweir/mailweir/filters"
)

// edit asks for the changes of a rule that has matched.
func (e *evaluation) edit(r *rule) error {
	if !r.then.edits() {
		return nil
	}
	var edits []filters.Edit
	for _, name := range r.then.remove {
		edits = append(edits, removal(e.t.Header, name, 1)...)
	}
	for _, f := range r.then.replace {
		value, err := f.value.fill(e)
		if err != nil {
			return err
		}
		edits = append(edits, removal(e.t.Header, f.name, 2)...)
		edits = append(edits, filters.ChangeField{Name: f.name, Nth: 1, Value: value})
	}
	for _, f := range r.then.add {
		value, err := f.value.fill(e)
		if err != nil {
			return err
		}
		edits = append(edits, filters.AddField{Name: f.name, Value: value})
	}
	edits = append(edits, e.readdress(r)...)
	for _, ed := range edits {
		if slices.Contains(e.t.Edits(), ed) { // of an equal rule
			continue
		}
		if err := e.t.Edit(ed); err != nil {
			return err
		}
	}
	return nil
}

// removal takes out the fields of a name, from the nth of them on. The last
// goes first, so that the others keep their number.
func removal(h filters.Header, name string, nth int) []filters.Edit {
	count := 0
	for _, f := range h {
		if strings.EqualFold(f.Name, name) {
			count++
		}
	}
	var edits []filters.Edit
	for ; count >= nth; count-- {
		edits = append(edits, filters.RemoveField{Name: name, Nth: count})
	}
	return edits
}

// readdress changes the recipients. The first redirect counts.
func (e *evaluation) readdress(r *rule) []filters.Edit {
	var edits []filters.Edit
	if r.then.to != "" && !e.state().redirected {
		e.state().redirected = true
		for _, to := range e.t.Rcpts {
			edits = append(edits, filters.RemoveRcpt{Raw: to.Raw})
		}
		edits = append(edits, filters.AddRcpt{To: filters.Path{Raw: r.then.to}})
	}
	for _, to := range r.then.also {
		edits = append(edits, filters.AddRcpt{To: filters.Path{Raw: to}})
	}
	return edits
}
