package rdns

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mailweir/mailweir/filters"
)

// At is the stage that judges.
type At string

// stages are those that At can be, by their names.
var stages = []filters.Stage{filters.Connect, filters.Helo, filters.Mail, filters.Rcpt}

// Words returns the names of the stages that judge.
func (At) Words() []string {
	words := make([]string, len(stages))
	for i, s := range stages {
		words[i] = s.String()
	}
	return words
}

// UnmarshalText reads the name of a stage.
func (a *At) UnmarshalText(text []byte) error {
	*a = At(text)
	if !slices.Contains(a.Words(), string(text)) {
		return fmt.Errorf("want connect, helo, mail or rcpt, got %q", text)
	}
	return nil
}

func (a At) stage() filters.Stage {
	return stages[slices.Index(a.Words(), string(a))]
}

// Word is a word to look for in names, in lower case.
type Word string

// UnmarshalText reads a word in any case.
func (w *Word) UnmarshalText(text []byte) error {
	*w = Word(strings.ToLower(string(text)))
	if *w == "" || strings.ContainsFunc(string(*w), notLetter) {
		return fmt.Errorf("%q is not a word: names are cut into words at all but letters a to z, write dial and up for dial-up", text)
	}
	return nil
}

func notLetter(c rune) bool { return c < 'a' || 'z' < c }
