package configs_test

import (
	"errors"
	"regexp"
	"testing"

	"github.com/mailweir/mailweir/configs"
	"github.com/mailweir/mailweir/filters"
)

var place = regexp.MustCompile(`mx\.yaml:[0-9]+:[0-9]+:`)

// What is wrong with a file that an entry names stands in that file; the rest of
// it where the entry stands. Files are not mixed.
func TestProblemsOfOtherFiles(t *testing.T) {
	problems := configs.Problems{
		{Where: "rules.yaml", Line: 9, Col: 1, Source: "x: y", Msg: "late", Hint: "leave it"},
		{Where: "rules.yaml", Line: 1, Col: 1, Source: "a: b", Msg: "early"},
		{Msg: "no such file", Hint: "name another"},
	}
	kind := filters.Define(filters.Kind{Name: "broken", Doc: "Fails."}, struct{}{}, func(filters.Env, *struct{}) (filters.Filter, error) {
		return nil, errors.Join(problems, errors.New("something else"))
	})
	c, err := configs.Parse([]filters.Kind{kind}, "dir/mx.yaml", []byte(minimal+"chain:\n  - broken:\n  - broken:\n    name: again\n"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Build(env())
	if err == nil {
		t.Fatal("no error")
	}
	want := `rules.yaml:1:1: early
    a: b
    ^
rules.yaml:9:1: late
    x: y
    ^ leave it
dir/mx.yaml:X: broken: no such file
      - broken:
        ^ name another
dir/mx.yaml:X: broken: something else
      - broken:
        ^
dir/mx.yaml:X: broken: no such file
      - broken:
        ^ name another
dir/mx.yaml:X: broken: something else
      - broken:
        ^`
	if got := place.ReplaceAllString(err.Error(), "mx.yaml:X:"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
