// Package marked writes what was measured into documents.
package marked

import (
	"bytes"
	"fmt"
	"os"
	"slices"
)

// Rewrite puts a text between the lines <!-- name:begin --> and <!-- name:end -->
// of a document.
func Rewrite(file, name, text string) error {
	begin, end := []byte("<!-- "+name+":begin -->\n"), []byte("<!-- "+name+":end -->\n")
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	head, rest, found := bytes.Cut(old, begin)
	_, tail, ended := bytes.Cut(rest, end)
	if !found || !ended {
		return fmt.Errorf("%s has no lines %q and %q", file, begin, end)
	}
	return os.WriteFile(file, slices.Concat(head, begin, []byte(text), end, tail), 0o644)
}
