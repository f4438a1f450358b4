package verbs

import (
	"fmt"
	"slices"
	"strings"
)

// What answers VRFY and EXPN.
const (
	noncommittal   = "252"
	notImplemented = "502"
	relayed        = "relay"
)

// VRFY is how VRFY is answered.
type VRFY string

// Words returns the ways to answer.
func (VRFY) Words() []string { return []string{noncommittal, notImplemented, relayed} }

// UnmarshalText reads one of the words.
func (v *VRFY) UnmarshalText(text []byte) error {
	*v = VRFY(text)
	return oneOf(v.Words(), string(text))
}

// EXPN is how EXPN is answered.
type EXPN string

// Words returns the ways to answer.
func (EXPN) Words() []string { return []string{notImplemented, relayed} }

// UnmarshalText reads one of the words.
func (e *EXPN) UnmarshalText(text []byte) error {
	*e = EXPN(text)
	return oneOf(e.Words(), string(text))
}

func oneOf(words []string, word string) error {
	if slices.Contains(words, word) {
		return nil
	}
	return fmt.Errorf("%q is none of %q", word, words)
}

// Verb is an SMTP verb in upper case.
type Verb string

// needed are the verbs without which no mail comes in.
var needed = []Verb{"HELO", "EHLO", "MAIL", "RCPT", "DATA", "RSET", "QUIT", "NOOP", "STARTTLS"}

// UnmarshalText reads a verb in any case that may be blocked.
func (v *Verb) UnmarshalText(text []byte) error {
	*v = Verb(strings.ToUpper(string(text)))
	switch {
	case !isWord(*v):
		return fmt.Errorf("%q is not a verb: write letters and digits only, such as ETRN", text)
	case slices.Contains(needed, *v):
		return fmt.Errorf("%s cannot be blocked: mail does not work without it", *v)
	case *v == "BDAT":
		return fmt.Errorf("BDAT cannot be blocked here: not to offer CHUNKING is a matter of the listener")
	}
	return nil
}

func isWord(v Verb) bool {
	for i := range len(v) {
		if c := v[i]; (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return false
		}
	}
	return v != ""
}
