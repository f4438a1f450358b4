package chain

import (
	"errors"
	"fmt"
	"slices"

	"github.com/mailweir/mailweir/filters"
)

// order returns the specs as the administrator ordered them, except that an
// entry which sets a fact moves in front of the first that reads it. Its error
// names facts that nobody sets, and circles.
func order(specs []Spec) ([]Spec, error) {
	o := ordering{specs: specs, state: make([]visit, len(specs))}
	for i := range specs {
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
	specs []Spec
	state []visit
	out   []Spec
	errs  []error
}

// place appends spec i after those that set the facts it reads.
func (o *ordering) place(i int) {
	if o.state[i] != unseen {
		return
	}
	o.state[i] = placing
	spec := o.specs[i]
	for _, fact := range spec.Kind.Reads {
		o.placeSetters(spec, fact)
	}
	o.state[i] = placed
	o.out = append(o.out, spec)
}

// placeSetters places those who set the fact. Entries of the reader's own kind
// stay where they are: none of them can be first of all.
func (o *ordering) placeSetters(reader Spec, fact filters.FactInfo) {
	var setters []Spec
	for j, spec := range o.specs {
		if !slices.ContainsFunc(spec.Kind.Sets, func(f filters.FactInfo) bool { return f.Name == fact.Name }) {
			continue
		}
		setters = append(setters, spec)
		switch {
		case spec.Kind.Name == reader.Kind.Name:
		case o.state[j] == placing:
			o.fail(reader, "reads the fact %s of %s, which waits for a fact of it in turn", fact.Name, spec.Kind.Name)
		default:
			o.place(j)
		}
	}
	o.checkSet(reader, fact, setters)
}

// checkSet finds readers that would wait in vain.
func (o *ordering) checkSet(reader Spec, fact filters.FactInfo, setters []Spec) {
	if len(setters) == 0 {
		o.fail(reader, "reads the fact %s, which no filter of this chain sets", fact.Name)
		return
	}
	for _, name := range reader.Listeners {
		if !slices.ContainsFunc(setters, func(s Spec) bool { return s.serves(name) }) {
			o.fail(reader, "reads the fact %s, which no filter of listener %s sets", fact.Name, name)
		}
	}
}

func (o *ordering) fail(spec Spec, format string, args ...any) {
	o.errs = append(o.errs, &SpecError{spec, fmt.Errorf(format, args...)})
}
