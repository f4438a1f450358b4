package domains

import (
	"fmt"
	"strings"

	"golang.org/x/net/idna"
)

// Pattern is an entry of a list of domains: "example.com" is that domain,
// ".example.com" is that domain and all below it. It is in lower case, with
// A-labels for what is not ASCII (RFC 5890).
type Pattern string

// Parse reads a pattern in any case, with A-labels or U-labels.
func Parse(entry string) (Pattern, error) {
	name, below := strings.CutPrefix(entry, ".")
	if strings.HasPrefix(entry, "*.") {
		return "", fmt.Errorf("%q: write %q for a domain and all below it", entry, entry[1:])
	}
	if !ascii(name) {
		var err error
		if name, err = idna.Lookup.ToASCII(name); err != nil {
			return "", fmt.Errorf("%q is no internationalised domain name: %w", entry, err)
		}
	}
	if !Valid(name, true) {
		return "", fmt.Errorf("%q is not a domain name", entry)
	}
	name = strings.ToLower(name)
	if below {
		name = "." + name
	}
	return Pattern(name), nil
}

// UnmarshalText reads a pattern.
func (p *Pattern) UnmarshalText(text []byte) (err error) {
	*p, err = Parse(string(text))
	return err
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
