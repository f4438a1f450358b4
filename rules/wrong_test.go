package rules_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/rules"
)

var update = flag.Bool("update", false, "write the golden files")

func host() rules.Options {
	return rules.Options{
		Dir:       "testdata/wrong",
		Listeners: []string{"mx", "submission"},
		Facts:     []filters.FactInfo{{Name: "dnsbl.score"}, {Name: "client.fcrdns"}},
	}
}

// TestWrong holds each wrong file to its own messages.
func TestWrong(t *testing.T) {
	files, err := filepath.Glob("testdata/wrong/*.yaml")
	if err != nil || len(files) < 60 {
		t.Fatal(len(files), "files", err)
	}
	seen := map[string]string{}
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			_, err := rules.Load(host(), name)
			if err == nil {
				t.Fatal("nothing is wrong with it")
			}
			got := strings.ReplaceAll(err.Error(), "testdata/wrong/", "") + "\n" // files are named as they are found from here
			golden(t, strings.TrimSuffix(file, ".yaml")+".golden", got)
			bare := strings.ReplaceAll(got, name, "")
			if other, twice := seen[bare]; twice {
				t.Errorf("%s has the same message", other)
			}
			seen[bare] = name
		})
	}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Error(diff)
	}
}
