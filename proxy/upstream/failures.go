package upstream

import (
	"fmt"
	"strings"
)

// failures are the errors of several attempts.
type failures []error

// maxTold bounds how many of them are told.
const maxTold = 10

func (f failures) Error() string {
	var b strings.Builder
	for i, err := range f {
		if i > 0 {
			b.WriteString("; ")
		}
		if i == maxTold {
			fmt.Fprintf(&b, "and %d more", len(f)-i)
			break
		}
		b.WriteString(err.Error())
	}
	return b.String()
}

// Unwrap lets errors.Is look at each.
func (f failures) Unwrap() []error { return f }

// about returns the failures as one error that says what they are about.
func (f failures) about(what string) error {
	if len(f) == 1 {
		return f[0]
	}
	return fmt.Errorf("%s: %w", what, f)
}
