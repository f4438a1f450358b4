package rules

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func load(t testing.TB, file string) *Policy {
	t.Helper()
	p, err := Load(Options{Dir: filepath.Dir(file)}, filepath.Base(file))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestRight plays the tests in each of the rule files, and holds evaluation by
// index to find what the evaluation that explains itself does.
func TestRight(t *testing.T) {
	files, err := filepath.Glob("testdata/right/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			p := load(t, file)
			for i := range p.Tests() {
				test := &p.Tests()[i]
				t.Run(test.Name.Text, func(t *testing.T) { playTest(t, p, test, filepath.Dir(file)) })
			}
			for _, r := range p.Coverage() {
				if r.Matched == 0 {
					t.Errorf("no test matches the rule %s, %s", r.Name, r.Pos)
				}
			}
		})
	}
}

func playTest(t *testing.T, p *Policy, test *Test, dir string) {
	t.Helper()
	o, err := p.Play(context.Background(), test, dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, wrong := range test.Want.Compare(o) {
		t.Error(wrong)
	}
	quick, err := p.play(context.Background(), test, dir)
	if err != nil {
		t.Fatal(err)
	}
	quick.Matched = o.Matched
	errorText := cmp.Comparer(func(a, b error) bool { return (a == nil) == (b == nil) && (a == nil || a.Error() == b.Error()) })
	if diff := cmp.Diff(o, quick, errorText); diff != "" {
		t.Errorf("the index finds something else:\n%s", diff)
	}
}
