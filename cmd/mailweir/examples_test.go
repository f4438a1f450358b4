package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
)

// TestExamples plays the tests of the examples through their whole chains.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob(top + "/configs/examples/*/mailweir.yaml")
	if err != nil || len(files) < 6 {
		t.Fatal(len(files), "examples", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(filepath.Dir(file)), func(t *testing.T) {
			var out, errs bytes.Buffer
			if code := run([]string{"test", "-c", file}, &out, &errs); code != exitOK {
				t.Fatalf("exit code %d\n%s%s", code, &out, &errs)
			}
			if got := out.String(); !strings.Contains(got, "\nok ") || strings.Contains(got, "no tests") || !strings.Contains(got, "coverage: 100.0%") {
				t.Error(got)
			}
		})
	}
}
