// Package domains compares domain names with lists of them.
package domains

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// Limits of a domain name in octets (RFC 5321 section 4.5.3.1.2, RFC 1035
// section 2.3.4).
const (
	maxName  = 255
	maxLabel = 63
)

// Valid reports whether name is a domain name: labels of letters, digits and
// inner hyphens (RFC 5321 section 4.1.2), in which an underscore may be
// tolerated. It does not allocate.
func Valid(name string, underscore bool) bool {
	if name == "" || len(name) > maxName {
		return false
	}
	start := 0
	for i := range len(name) + 1 {
		if i < len(name) && name[i] != '.' {
			continue
		}
		if !validLabel(name[start:i], underscore) {
			return false
		}
		start = i + 1
	}
	return true
}

func validLabel(label string, underscore bool) bool {
	if label == "" || len(label) > maxLabel || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	for i := range len(label) {
		switch c := label[i]; {
		case 'a' <= c|0x20 && c|0x20 <= 'z', '0' <= c && c <= '9', c == '-':
		case c == '_' && underscore:
		default:
			return false
		}
	}
	return true
}

// ASCII returns a domain as the DNS is asked for it: in lower case, with
// A-labels for what is not ASCII (RFC 5890), without a final dot. ok is false
// for what is not a domain name, underscores tolerated.
func ASCII(domain string) (name string, ok bool) {
	name = strings.TrimSuffix(domain, ".")
	if !ascii(name) {
		if len(name) > 4*maxName || !utf8.ValidString(name) { // no more of it fits, and encoding takes time
			return "", false
		}
		encoded, err := idna.Lookup.ToASCII(name)
		if err != nil { // registered all the same, such as an emoji
			encoded, err = idna.Punycode.ToASCII(name)
		}
		if err != nil {
			return "", false
		}
		name = encoded
	}
	return strings.ToLower(name), Valid(name, true)
}
