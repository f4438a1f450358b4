package headers

import (
	"errors"
	"fmt"
	"strings"

	"github.com/mailweir/mailweir/filters"
)

// maxName is the longest field name to write, in octets.
const maxName = 64

// Name is the name of a header field.
type Name string

// UnmarshalText reads a name.
func (n *Name) UnmarshalText(text []byte) error {
	*n = Name(text)
	return checkName(string(text))
}

// is reports whether both are the same name.
func (n Name) is(other string) bool { return strings.EqualFold(string(n), other) }

func checkName(name string) error {
	switch {
	case strings.HasSuffix(name, ":"):
		return fmt.Errorf("%q is no field name: leave the colon out", name)
	case !filters.IsFieldName(name):
		return fmt.Errorf("%q is no field name: write printable ASCII without spaces, such as X-Client", name)
	case len(name) > maxName:
		return fmt.Errorf("a field name of %d octets: want at most %d", len(name), maxName)
	}
	return nil
}

// Pattern is the name of a header field, or with * at its end the beginning of
// names.
type Pattern struct {
	start string
	open  bool // the rest may be anything
}

// MarshalText spells the pattern.
func (p Pattern) MarshalText() ([]byte, error) {
	if p.open {
		return []byte(p.start + "*"), nil
	}
	return []byte(p.start), nil
}

// UnmarshalText reads a pattern.
func (p *Pattern) UnmarshalText(text []byte) error {
	p.start, p.open = strings.CutSuffix(string(text), "*")
	switch {
	case p.open && p.start == "":
		return errors.New(`"*" would take out every field`)
	case strings.Contains(p.start, "*"):
		return fmt.Errorf("%q: a * may stand at the end only", text)
	}
	return checkName(p.start)
}

func (p Pattern) matches(name string) bool {
	if p.open && len(name) > len(p.start) {
		name = name[:len(p.start)]
	}
	return strings.EqualFold(name, p.start)
}
