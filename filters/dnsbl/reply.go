package dnsbl

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Lengths in octets, so that a reply with code and id is one line of at most
// 512 (RFC 5321 section 4.5.3.1.5).
const (
	maxReply = 400
	maxText  = 200 // of a list's own text
)

// placeholders are the names that a template may have in braces.
var placeholders = []string{"client", "subject", "zone", "answer", "meaning", "text", "score", "helo", "sender"}

// template is the text of a refusal.
type template struct {
	pieces []piece
}

// piece is literal text, or a placeholder.
type piece struct{ literal, name string }

func parseTemplate(text string) (*template, error) {
	if printable(text, maxReply) != text || text == "" {
		return nil, fmt.Errorf("want one line of up to %d printable ASCII characters, got %+.60q", maxReply, text)
	}
	t := new(template)
	for text != "" {
		open := strings.IndexAny(text, "{}")
		switch {
		case open < 0:
			t.pieces = append(t.pieces, piece{literal: text})
			return t, nil
		case text[open] == '}':
			return nil, errors.New("a } without a { before it")
		}
		name, rest, ok := strings.Cut(text[open+1:], "}")
		switch {
		case !ok:
			return nil, errors.New("a { without a } behind it")
		case !slices.Contains(placeholders, name):
			return nil, fmt.Errorf("unknown placeholder {%s}; known are {%s}", name, strings.Join(placeholders, "}, {"))
		}
		t.pieces = append(t.pieces, piece{literal: text[:open]}, piece{name: name})
		text = rest
	}
	return t, nil
}

// has reports whether the template has that placeholder.
func (t *template) has(name string) bool {
	return slices.Contains(t.pieces, piece{name: name})
}

// fill returns the text, one line of printable ASCII.
func (t *template) fill(values map[string]string) string {
	var out strings.Builder
	for _, p := range t.pieces {
		out.WriteString(p.literal)
		if p.name != "" {
			out.WriteString(printable(values[p.name], maxText))
		}
	}
	return printable(out.String(), maxReply)
}
