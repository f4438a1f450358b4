package ipset

import (
	"cmp"
	"encoding/binary"
	"io"
	"net/netip"
	"slices"

	"github.com/mailweir/mailweir/filters/internal/listfile"
)

// Set is a set of networks, which does not change once it is made. The zero Set is
// empty.
//
// It is kept as ranges in order, in which there is no pointer: of a list with a
// hundred thousand networks the garbage collector has nothing to look at.
type Set struct{ v4, v6 []span }

// span is a range of addresses, both ends included.
type span struct{ first, last number }

// number is an address.
type number struct{ high, low uint64 }

// Of returns the set of the given networks.
func Of(nets []Net) *Set {
	s := new(Set)
	for _, n := range nets {
		s.add(n.Prefix)
	}
	s.order()
	return s
}

// Read reads a list file: one address or network a line. Comments begin with
// # or ; and empty lines are skipped. An error names the line.
func Read(r io.Reader, name string) (*Set, error) {
	s := new(Set)
	err := listfile.Lines(r, name, func(entry string) error {
		p, err := Parse(entry)
		if err == nil {
			s.add(p)
		}
		return err
	})
	s.order()
	return s, err
}

// Contains reports whether a network of the set contains the address. An
// IPv4-mapped address counts as IPv4; a zone does not count. It does not
// allocate.
func (s *Set) Contains(a netip.Addr) bool {
	if a = a.Unmap(); !a.IsValid() {
		return false
	}
	spans, n := s.v6, numberOf(a)
	if a.Is4() {
		spans = s.v4
	}
	i, found := slices.BinarySearchFunc(spans, n, func(s span, n number) int { return s.first.compare(n) })
	return found || i > 0 && spans[i-1].last.compare(n) >= 0
}

// add adds a network, out of order.
func (s *Set) add(p netip.Prefix) {
	if !p.IsValid() {
		return
	}
	first := numberOf(p.Masked().Addr())
	in := span{first, first.or(hosts(p.Addr().BitLen() - p.Bits()))}
	if p.Addr().Is4() {
		s.v4 = append(s.v4, in)
	} else {
		s.v6 = append(s.v6, in)
	}
}

func (s *Set) order() { s.v4, s.v6 = merged(s.v4), merged(s.v6) }

// merged returns the ranges in order, without those that lie in others: networks
// never overlap otherwise.
func merged(spans []span) []span {
	slices.SortFunc(spans, func(a, b span) int {
		return cmp.Or(a.first.compare(b.first), b.last.compare(a.last))
	})
	out := spans[:0]
	for _, s := range spans {
		if len(out) == 0 || out[len(out)-1].last.compare(s.first) < 0 {
			out = append(out, s)
		}
	}
	return slices.Clip(out)
}

// numberOf returns an IPv4 address in its 32 bits, and any other in 128.
func numberOf(a netip.Addr) number {
	if a.Is4() {
		octets := a.As4()
		return number{low: uint64(binary.BigEndian.Uint32(octets[:]))}
	}
	octets := a.As16()
	return number{binary.BigEndian.Uint64(octets[:8]), binary.BigEndian.Uint64(octets[8:])}
}

// hosts returns the number of that many low bits.
func hosts(bits int) number {
	if bits > 64 {
		return number{1<<(bits-64) - 1, 1<<64 - 1}
	}
	return number{0, 1<<bits - 1}
}

func (n number) or(m number) number { return number{n.high | m.high, n.low | m.low} }

func (n number) compare(m number) int {
	return cmp.Or(cmp.Compare(n.high, m.high), cmp.Compare(n.low, m.low))
}
