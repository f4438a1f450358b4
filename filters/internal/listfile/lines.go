// Package listfile reads the list files that options name, and reads them
// again when they change.
package listfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxLine is the longest line of a list file in octets, without its end.
const maxLine = 4096

// byteOrderMark is what some editors put in front of UTF-8.
const byteOrderMark = "\ufeff"

// Lines passes each entry to add: a line without its comment, which # or ;
// begins, and without outer white space. Empty ones are left out. An error of
// add comes back behind the name and the line's number.
func Lines(r io.Reader, name string, add func(entry string) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine+len("\r\n"))
	n := 0
	for lines.Scan() {
		n++
		line := lines.Text()
		if n == 1 {
			line = strings.TrimPrefix(line, byteOrderMark)
		}
		if i := strings.IndexAny(line, "#;"); i >= 0 {
			line = line[:i]
		}
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if err := add(line); err != nil {
			return fmt.Errorf("%s:%d: %w", name, n, err)
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return fmt.Errorf("%s:%d: line longer than %d octets", name, n+1, maxLine)
	case err != nil:
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
