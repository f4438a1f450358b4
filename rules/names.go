package rules

import (
	"fmt"
	"strings"
)

// names is a set of domains, and of domains with all below them.
type names map[string]uint8

const (
	exactly uint8 = 1 << iota
	andBelow
)

// add takes a pattern: example.com, or .example.com for it and all below it.
func (n names) add(p pattern) {
	flag := exactly
	if p.below {
		flag = exactly | andBelow
	}
	n[p.domain] |= flag
}

// has reports whether a folded domain is in the set. It does not allocate.
func (n names) has(domain []byte) bool {
	if len(domain) == 0 {
		return false
	}
	if n[string(domain)]&exactly != 0 {
		return true
	}
	for i, c := range domain {
		if c == '.' && n[string(domain[i+1:])]&andBelow != 0 {
			return true
		}
	}
	return false
}

// pattern is a domain as a rule or list spells it.
type pattern struct {
	domain string // folded
	below  bool   // all below it too
}

// parsePattern reads a domain.
func parsePattern(s string) (pattern, error) {
	name, below := strings.CutPrefix(s, ".")
	switch {
	case strings.HasPrefix(s, "*."):
		return pattern{}, fmt.Errorf("%q: write %q for it and all below it", s, s[1:])
	case strings.Contains(s, "@"):
		return pattern{}, fmt.Errorf("%q is an address, want a domain such as example.com, or .example.com for it and all below it", s)
	}
	folded := string(foldDomain(appendLower(nil, name)))
	if !isDomain(folded) {
		return pattern{}, fmt.Errorf("%q is not a domain such as example.com, or .example.com for it and all below it", s)
	}
	return pattern{folded, below}, nil
}

// maxLabel is the longest label of a domain in octets (RFC 1035 section 2.3.4).
const maxLabel = 63

// isDomain reports whether s can be a domain in a list. Underscores occur.
func isDomain(s string) bool {
	if s == "" || len(s) > maxDomain {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > maxLabel || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			c := label[i]
			if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
				return false
			}
		}
	}
	return true
}
