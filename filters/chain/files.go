package chain

import (
	"slices"

	"github.com/mailweir/mailweir/filters"
)

// Files returns the names of the files that filters were made of, and do not
// look at again by themselves, each once.
func (c *Chain) Files() []string {
	var names []string
	for _, e := range c.entries {
		if f, ok := e.filter.(filters.Sourcer); ok {
			names = append(names, f.Files()...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
