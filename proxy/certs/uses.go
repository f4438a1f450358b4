package certs

import (
	"errors"
	"sync"
)

// uses are the sources that a configuration has taken from a shelf.
type uses struct {
	shelf   *Shelf
	sources []*source
	faults  []error
	closed  sync.Once
}

// pair takes a pair; nil if it cannot be used, which counts among the faults.
func (u *uses) pair(index int, p Pair) *source {
	return u.take(origin{Pair: p}, func(e *FileError) { e.Index = index })
}

// authorities takes a file of authorities that an option names.
func (u *uses) authorities(option, file string) *source {
	return u.take(origin{authorities: file}, func(e *FileError) { e.Option = option })
}

func (u *uses) take(o origin, place func(*FileError)) *source {
	src, err := u.shelf.take(o)
	if err != nil {
		if fault := (*FileError)(nil); errors.As(err, &fault) {
			place(fault)
		}
		u.faults = append(u.faults, err)
		return nil
	}
	u.sources = append(u.sources, src)
	return src
}

// err returns all faults, and gives the sources back if there are any.
func (u *uses) err() error {
	if len(u.faults) > 0 {
		u.close()
	}
	return errors.Join(u.faults...)
}

func (u *uses) close() { u.closed.Do(func() { u.shelf.drop(u.sources) }) }
