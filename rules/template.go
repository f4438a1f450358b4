package rules

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// template is a text with fields in braces: "No mail from {from.domain}".
type template struct {
	source string
	parts  []part
}

// part is a text, or a field if there is one.
type part struct {
	text  string
	field *fieldRef
	slot  int
}

// Bounds of what a template makes.
const (
	maxTemplate = 1000 // octets of the source
	maxFilled   = 200  // characters of one field
)

// parseTemplate reads a template. {{ and }} stand for braces. Its error has the
// place in characters, from 0.
func parseTemplate(s string, find func(string) *fieldRef, hint func(string) string) (*template, *templateError) {
	t := &template{source: s}
	if len(s) > maxTemplate {
		return nil, &templateError{0, fmt.Sprintf("longer than %d octets", maxTemplate), ""}
	}
	var text strings.Builder
	for i := 0; i < len(s); {
		switch {
		case strings.HasPrefix(s[i:], "{{"), strings.HasPrefix(s[i:], "}}"):
			text.WriteByte(s[i])
			i += 2
		case s[i] == '}':
			return nil, &templateError{chars(s, i), "a } that closes nothing", "write }} for a brace"}
		case s[i] == '{':
			end := strings.IndexByte(s[i:], '}')
			if end < 0 {
				return nil, &templateError{chars(s, i), "a { that is not closed", "write {{ for a brace"}
			}
			name := s[i+1 : i+end]
			ref := find(name)
			if ref == nil {
				return nil, &templateError{chars(s, i), fmt.Sprintf("unknown field {%s}", name), hint(name)}
			}
			t.parts = append(t.parts, part{text: text.String()}, part{field: ref})
			text.Reset()
			i += end + 1
		default:
			text.WriteByte(s[i])
			i++
		}
	}
	t.parts = append(t.parts, part{text: text.String()})
	return t, nil
}

func chars(s string, i int) int { return utf8.RuneCountInString(s[:i]) }

type templateError struct {
	at        int
	msg, hint string
}

// fixed returns the text of a template without fields.
func (t *template) fixed() (string, bool) {
	if t == nil {
		return "", true
	}
	if len(t.parts) > 1 {
		return "", false
	}
	return t.parts[0].text, true
}

// fill makes the text. What comes from outside is made harmless: no control
// characters, nothing but ASCII, and not too long.
func (t *template) fill(e *evaluation) (string, error) {
	if t == nil {
		return "", nil
	}
	var b strings.Builder
	for _, p := range t.parts {
		if p.field == nil {
			b.WriteString(p.text)
			continue
		}
		r := e.read(p.slot)
		if r.err != nil {
			return "", r.err
		}
		b.WriteString(harmless(r.joined()))
	}
	return b.String(), nil
}

// joined spells the values, separated by commas.
func (r *reading) joined() string {
	var b strings.Builder
	for i := range r.values {
		if i > 0 {
			b.WriteString(", ")
		}
		v := &r.values[i]
		if v.kind == Number || v.kind == Size || v.kind == Bool {
			b.WriteString(v.show())
		} else {
			b.WriteString(v.plain())
		}
		if b.Len() > 4*maxFilled {
			break
		}
	}
	return b.String()
}

// harmless replaces what may stand neither in a reply (RFC 5321 section 4.2)
// nor in a field's value.
func harmless(s string) string {
	count := 0
	s = strings.Map(func(c rune) rune {
		if count++; count > maxFilled {
			return -1
		}
		if c < ' ' || c > '~' {
			return '?'
		}
		return c
	}, s)
	return s
}
