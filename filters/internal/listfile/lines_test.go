package listfile_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/mailweir/mailweir/filters/internal/listfile"
)

func TestLines(t *testing.T) {
	text := "\ufeffone\r\n\n  # a comment\n\ttwo ; why\r\n;\nthree#\nfour"
	var got []string
	err := listfile.Lines(strings.NewReader(text), "list", func(entry string) error {
		got = append(got, entry)
		return nil
	})
	if want := []string{"one", "two", "three", "four"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("entries %q, error %v; want %q", got, err, want)
	}
}

func TestLinesErrors(t *testing.T) {
	refuseBad := func(entry string) error {
		if entry == "bad" {
			return errors.New("bad entry")
		}
		return nil
	}
	for _, c := range []struct{ text, want string }{
		{"good\n# x\nbad\n", "list:3: bad entry"},
		{"good\n" + strings.Repeat("x", 5000), "list:2: line longer than 4096 octets"},
	} {
		err := listfile.Lines(strings.NewReader(c.text), "list", refuseBad)
		if err == nil || err.Error() != c.want {
			t.Errorf("error %v, want %s", err, c.want)
		}
	}
}

func TestLongestLine(t *testing.T) {
	line := strings.Repeat("x", 4096)
	got := ""
	err := listfile.Lines(strings.NewReader(line+"\r\nshort\r\n"), "list", func(entry string) error {
		got += entry
		return nil
	})
	if err != nil || got != line+"short" {
		t.Errorf("%d octets read, error %v", len(got), err)
	}
}
