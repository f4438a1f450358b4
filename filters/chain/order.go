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

func (o *ordering) placeSetters(reader Spec, fact filters.FactInfo) {
	found := false
	for j, spec := range o.specs {
		if !slices.ContainsFunc(spec.Kind.Sets, func(f filters.FactInfo) bool { return f.Name == fact.Name }) {
			continue
		}
		found = true
		if o.state[j] == placing && spec.Kind.Name != reader.Kind.Name {
			o.errs = append(o.errs, &SpecError{reader, fmt.Errorf("reads the fact %s of %s, which waits for a fact of it in turn", fact.Name, spec.Kind.Name)})
			continue
		}
		o.place(j)
	}
	if !found {
		o.errs = append(o.errs, &SpecError{reader, fmt.Errorf("reads the fact %s, which no filter of this chain sets", fact.Name)})
	}
}
