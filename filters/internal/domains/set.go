package domains

import (
	"io"

	"golang.org/x/net/idna"

	"github.com/mailweir/mailweir/filters/internal/listfile"
)

// Set is a set of domains. It is safe for concurrent reading.
type Set struct{ patterns map[Pattern]struct{} }

// Of returns the set of what the patterns stand for.
func Of(patterns []Pattern) *Set {
	s := &Set{make(map[Pattern]struct{}, len(patterns))}
	for _, p := range patterns {
		s.patterns[p] = struct{}{}
	}
	return s
}

// Read reads a list file: one pattern a line.
func Read(r io.Reader, name string) (*Set, error) {
	s := Of(nil)
	err := listfile.Lines(r, name, func(entry string) error {
		p, err := Parse(entry)
		if err == nil {
			s.patterns[p] = struct{}{}
		}
		return err
	})
	return s, err
}

// Contains reports whether the domain, in any case and with A-labels or
// U-labels (RFC 6531), is in the set. What is not a domain name is in none. It
// does not allocate for an ASCII name.
func (s *Set) Contains(domain string) bool {
	if !ascii(domain) {
		name, err := idna.Lookup.ToASCII(domain)
		return err == nil && s.Contains(name)
	}
	if !Valid(domain, true) {
		return false
	}
	var buf [1 + maxName]byte // a dot, then the domain in lower case
	buf[0] = '.'
	for i := range len(domain) {
		c := domain[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		buf[i+1] = c
	}
	return s.lookup(buf[:1+len(domain)])
}

// lookup looks for the domain itself, then for it and each above it in the
// spelling with the leading dot.
func (s *Set) lookup(dotted []byte) bool {
	if _, ok := s.patterns[Pattern(dotted[1:])]; ok {
		return true
	}
	for i, c := range dotted {
		if c != '.' {
			continue
		}
		if _, ok := s.patterns[Pattern(dotted[i:])]; ok {
			return true
		}
	}
	return false
}
