package strict

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Problem is one thing wrong with a configuration.
type Problem struct {
	Where     string // file name, environment variable or flag; may be ""
	Line, Col int    // from 1, the column in characters; 0 when there is no such place
	Source    string // that line of the file
	Msg       string
	Hint      string // what to write instead; may be ""
}

// snippet is the most characters of a source line to show.
const snippet = 100

// Error renders the problem over up to three lines: place and message, the
// source line, and a caret with the hint.
func (p Problem) Error() string {
	var b strings.Builder
	if p.Where != "" {
		b.WriteString(p.Where)
		if p.Line > 0 {
			fmt.Fprintf(&b, ":%d:%d", p.Line, p.Col)
		}
		b.WriteString(": ")
	}
	b.WriteString(strings.Map(printable, p.Msg))
	hint := strings.Map(printable, p.Hint)
	if p.Line == 0 {
		if hint != "" {
			b.WriteString("; " + hint)
		}
		return b.String()
	}
	line, col := excerpt(p.Source, p.Col)
	fmt.Fprintf(&b, "\n    %s\n    %s^", line, strings.Repeat(" ", col-1))
	if hint != "" {
		b.WriteString(" " + hint)
	}
	return b.String()
}

// printable keeps what is quoted from a file from telling a terminal what to do.
func printable(r rune) rune {
	if r == '\n' || r == '\t' || unicode.IsPrint(r) {
		return r
	}
	return unicode.ReplacementChar
}

// excerpt returns the part of a line around column col, fit for a terminal,
// and the column within it.
func excerpt(line string, col int) (string, int) {
	runes := []rune(strings.Map(printable, strings.ReplaceAll(line, "\t", " ")))
	col = max(1, min(col, len(runes)+1))
	start := 0
	if col > snippet {
		start = col - snippet/2
	}
	end := min(len(runes), start+snippet)
	return strings.TrimRight(string(runes[start:end]), " "), col - start
}

// Problems is all that is wrong with a configuration.
type Problems []Problem

// Error renders the problems in the order of the file.
func (ps Problems) Error() string {
	texts := make([]string, len(ps))
	for i, p := range ps {
		texts[i] = p.Error()
	}
	return strings.Join(texts, "\n")
}

// Err returns the problems sorted by place, or nil when there are none.
func (ps Problems) Err() error {
	if len(ps) == 0 {
		return nil
	}
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
	return ps
}
