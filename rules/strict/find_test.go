package strict_test

import (
	"strings"
	"testing"

	"github.com/mailweir/mailweir/rules/strict"
)

// TestFind holds a path to lead to its value, through aliases and merge keys,
// or as far as it goes.
func TestFind(t *testing.T) {
	doc, problems := strict.Parse("file", []byte(`list:
  - name: a
    tls: &tls {certs: [{key: one}, {key: two}]}
  -
  - &b {name: b, tls: *tls}
  - {<<: *b, name: c, none: }
text: here
`))
	if problems != nil {
		t.Fatal(problems)
	}
	for path, want := range map[string]strict.Pos{
		"":                          {Line: 1, Col: 1},
		"text":                      {Line: 7, Col: 7},
		"text.more":                 {Line: 7, Col: 7},
		"list[0]":                   {Line: 2, Col: 5},
		"list[0].name":              {Line: 2, Col: 11},
		"list[1].name":              {Line: 5, Col: 15}, // an item without a value does not count
		"list[1].tls.certs[1].key":  {Line: 3, Col: 42},
		"list[2].name":              {Line: 6, Col: 20},
		"list[2].tls.certs[0].key":  {Line: 3, Col: 30},
		"list[2].tls.certs[9].key":  {Line: 3, Col: 23},
		"list[2].tls.certs[-1].key": {Line: 3, Col: 23},
		"list[9].tls":               {Line: 2, Col: 3},
		"gone":                      {Line: 1, Col: 1},
	} {
		if got := doc.Find(path); got != want {
			t.Errorf("%s is at %v, want %v", path, got, want)
		}
	}
	empty, _ := strict.Parse("file", nil)
	if got := empty.Find("a.b"); got != (strict.Pos{Line: 1, Col: 1}) {
		t.Errorf("in nothing, it is at %v", got)
	}
}

// TestFindInCircles holds a path through aliases that lead into themselves to
// have an end.
func TestFindInCircles(t *testing.T) {
	doc, problems := strict.Parse("file", []byte("a: &a [*a]\nb: &b {<<: *b}\n"))
	if problems != nil {
		t.Fatal(problems)
	}
	doc.Find("a" + strings.Repeat("[0]", 1000))
	doc.Find("b.c")
}
