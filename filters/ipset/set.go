package ipset

import (
	"io"
	"net/netip"

	"github.com/gaissmai/bart"

	"github.com/mailweir/mailweir/filters/internal/listfile"
)

// Set is a set of networks. It is safe for concurrent reading, and must not be
// copied.
type Set struct{ table bart.Lite }

// Of returns the set of the given networks.
func Of(nets []Net) *Set {
	s := new(Set)
	for _, n := range nets {
		s.table.Insert(n.Prefix)
	}
	return s
}

// Read reads a list file: one address or network a line. Comments begin with
// # or ; and empty lines are skipped. An error names the line.
func Read(r io.Reader, name string) (*Set, error) {
	s := new(Set)
	err := listfile.Lines(r, name, func(entry string) error {
		p, err := Parse(entry)
		if err == nil {
			s.table.Insert(p)
		}
		return err
	})
	return s, err
}

// Contains reports whether a network of the set contains the address. An
// IPv4-mapped address counts as IPv4; a zone does not count. It does not
// allocate.
func (s *Set) Contains(a netip.Addr) bool {
	return s.table.Contains(a.Unmap().WithZone(""))
}
