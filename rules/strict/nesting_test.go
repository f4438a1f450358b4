package strict

import (
	"strings"
	"testing"

	"github.com/goccy/go-yaml/lexer"
)

// TestNesting checks that what is nested deeply is found, and what is only
// long is not.
func TestNesting(t *testing.T) {
	const n = 3 * maxNesting
	stairs := ""
	for i := range n {
		stairs += strings.Repeat(" ", i) + "key:\n"
	}
	for _, test := range []struct {
		name, text string
		deep       bool
	}{
		{"brackets", strings.Repeat("[", n), true},
		{"dashes", strings.Repeat("- ", n), true},
		{"keys on stairs", stairs, true},
		{"keys in a line", strings.Repeat("a: ", n), true},
		{"keys in braces", "{" + strings.Repeat("a:\n ", n), true},
		{"anchors", strings.Repeat("&a ", n), true},
		{"a long list", strings.Repeat("- a: [b, {c: d}]\n", n), false},
		{"a long map", strings.Repeat("a: {b: c}\n", n), false},
		{"long brackets", "[" + strings.Repeat("{a: [b]}, ", n) + "]", false},
		{"many anchors", strings.Repeat("a: &b c\n", n), false},
		{"sections", strings.Repeat("a:\n  - b:\n      c: d\n", n), false},
		{"many keys", strings.Repeat("a: b\n", maxKeys), false},
		{"documents", strings.Repeat("---\na: b\n", n), false},
	} {
		_, msg := excess(lexer.Tokenize(test.text))
		if deep := strings.HasPrefix(msg, "nested deeper"); deep != test.deep {
			t.Errorf("%s: %q", test.name, msg)
		}
	}
	for _, test := range []struct{ name, text, want string }{
		{"one map", strings.Repeat("a: b\n", maxKeys+1), "keys in one map"},
		{"one map further in", "x:\n  - y: z\n" + strings.Repeat("    a: b\n", maxKeys), "keys in one map"},
		{"one map with others in it", strings.Repeat("a:\n  b: c\n", maxKeys+1), "keys in one map"},
		{"braces", "{" + strings.Repeat("a: b, ", maxKeys+1) + "}", "keys in one map"},
		{"many maps", strings.Repeat("- a: b\n  c: d\n", maxKeys), ""},
		{"many maps in braces", strings.Repeat("- {a: b, c: d}\n", maxKeys), ""},
		{"too many maps", strings.Repeat("- {a: b, c: d}\n", maxAllKeys/2+1), "more than 60000 keys"},
	} {
		if _, msg := excess(lexer.Tokenize(test.text)); !strings.Contains(msg, test.want) || (msg == "") != (test.want == "") {
			t.Errorf("%s: %q", test.name, msg)
		}
	}
}
