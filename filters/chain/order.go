package chain

import (
	"errors"
	"fmt"
	"slices"

	"github.com/mailweir/mailweir/filters"
)

// order returns the entries as the administrator ordered them, except that one
// which sets a fact moves in front of the first that reads it. Its error names
// facts that nobody sets, and circles.
func order(entries []*entry) ([]*entry, error) {
	o := ordering{entries: entries, state: make([]visit, len(entries))}
	for i := range entries {
		o.place(i)
	}
	return o.out, errors.Join(o.errs...)
}

type visit uint8

const (
	unseen visit = iota
	placing
	placed
)

type ordering struct {
	entries []*entry
	state   []visit
	out     []*entry
	errs    []error
}

// place appends entry i after those that set the facts it reads.
func (o *ordering) place(i int) {
	if o.state[i] != unseen {
		return
	}
	o.state[i] = placing
	e := o.entries[i]
	for _, fact := range e.Kind.Reads {
		o.checkSet(e.Spec, fact.Name, o.placeSetters(e.Spec, fact.Name))
	}
	if r, ok := e.filter.(filters.Reader); ok {
		for _, name := range r.Reads() {
			o.placeSetters(e.Spec, name)
		}
	}
	o.state[i] = placed
	o.out = append(o.out, e)
}

// placeSetters places those who set the fact, and returns them. Entries of the
// reader's own kind stay where they are: none of them can be first of all.
func (o *ordering) placeSetters(reader Spec, fact string) []Spec {
	var setters []Spec
	for j, e := range o.entries {
		if !slices.ContainsFunc(e.Kind.Sets, func(f filters.FactInfo) bool { return f.Name == fact }) {
			continue
		}
		setters = append(setters, e.Spec)
		switch {
		case e.Kind.Name == reader.Kind.Name:
		case o.state[j] == placing:
			o.fail(reader, "reads the fact %s of %s, which waits for a fact of it in turn", fact, e.Kind.Name)
		default:
			o.place(j)
		}
	}
	return setters
}

// checkSet finds readers that would wait in vain.
func (o *ordering) checkSet(reader Spec, fact string, setters []Spec) {
	if len(setters) == 0 {
		o.fail(reader, "reads the fact %s, which no filter of this chain sets", fact)
		return
	}
	for _, name := range reader.Listeners {
		if !slices.ContainsFunc(setters, func(s Spec) bool { return s.serves(name) }) {
			o.fail(reader, "reads the fact %s, which no filter of listener %s sets", fact, name)
		}
	}
}

func (o *ordering) fail(spec Spec, format string, args ...any) {
	o.errs = append(o.errs, &SpecError{spec, fmt.Errorf(format, args...)})
}
