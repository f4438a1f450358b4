package filters_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailweir/mailweir/filters"
)

func TestParseHeader(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		want     filters.Header
	}{
		{"empty", "", nil},
		{"one", "Subject: x\r\n", filters.Header{{Name: "Subject", Value: " x"}}},
		{"without its CRLF", "Subject: x", filters.Header{{Name: "Subject", Value: " x"}}},
		{"two", "A: 1\r\nB: 2\r\n", filters.Header{{Name: "A", Value: " 1"}, {Name: "B", Value: " 2"}}},
		{"folded", "A: 1\r\n 2\r\n\t3\r\nB: 4\r\n", filters.Header{{Name: "A", Value: " 1\r\n 2\r\n\t3"}, {Name: "B", Value: " 4"}}},
		{"fold of white space only", "A: 1\r\n \r\nB: 2\r\n", filters.Header{{Name: "A", Value: " 1\r\n "}, {Name: "B", Value: " 2"}}},
		{"fold at the end", "A:\r\n 1", filters.Header{{Name: "A", Value: "\r\n 1"}}},
		{"no value", "A:\r\n", filters.Header{{Name: "A", Value: ""}}},
		{"no space", "A:b:c\r\n", filters.Header{{Name: "A", Value: "b:c"}}},
		{"obsolete space before the colon", "A \t: 1\r\n", filters.Header{{Name: "A", Value: " 1"}}},
		{"junk ends the section", "A: 1\r\njunk\r\nB: 2\r\n", filters.Header{{Name: "A", Value: " 1"}}},
		{"junk with a folded colon", "A: 1\r\njunk\r\n B: 2\r\n", filters.Header{{Name: "A", Value: " 1"}}},
		{"space in the name", "A: 1\r\nFrom me: 2\r\n", filters.Header{{Name: "A", Value: " 1"}}},
		{"mbox line", "From alice Mon Jan  1 00:00:00\r\nA: 1\r\n", nil},
		{"no name", "A: 1\r\n: 2\r\nB: 3\r\n", filters.Header{{Name: "A", Value: " 1"}}},
		{"8-bit name", "A: 1\r\n\xc3\xa9: 2\r\n", filters.Header{{Name: "A", Value: " 1"}}},
		{"starts with a fold", " A: 1\r\nB: 2\r\n", nil},
		{"empty line", "A: 1\r\n\r\nB: 2\r\n", filters.Header{{Name: "A", Value: " 1"}}},
		{"bare LF and CR are text", "A: 1\nB: 2\rC: 3\r\n", filters.Header{{Name: "A", Value: " 1\nB: 2\rC: 3"}}},
		{"bare LF in a name", "A\nB: 2\r\n", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := filters.ParseHeader(tc.in); !slices.Equal(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestHeaderGet(t *testing.T) {
	h := filters.ParseHeader("SUBJECT:  a\r\n b \r\nSubject: c\r\n")
	if got := h.Get("subject"); got != "a\r\n b" {
		t.Errorf("Get = %q", got)
	}
	if got := h.Get("From"); got != "" {
		t.Errorf("Get = %q", got)
	}
}

// Folds are the client's to choose: ten times as many cost ten times as much.
func TestParseHeaderIsLinear(t *testing.T) {
	const n = 200_000
	began := time.Now()
	h := filters.ParseHeader("A:" + strings.Repeat("\r\n ", n))
	if len(h) != 1 || len(h[0].Value) != 3*n {
		t.Fatalf("%d fields", len(h))
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("%d folds took %v", n, took)
	}
}

// slowHeader reads a section line by line, as RFC 5322 puts it.
func slowHeader(section string) (h filters.Header) {
	for _, line := range strings.SplitAfter(section, "\r\n") {
		line = strings.TrimSuffix(line, "\r\n")
		if strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t") {
			if len(h) == 0 {
				return h
			}
			h[len(h)-1].Value += "\r\n" + line
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		name = strings.TrimRight(name, " \t")
		bad := func(c rune) bool { return c < 33 || c > 126 }
		if !ok || name == "" || strings.ContainsFunc(name, bad) {
			return h
		}
		h = append(h, filters.Field{Name: name, Value: value})
	}
	return h
}

func FuzzParseHeader(f *testing.F) {
	for _, s := range []string{"A: 1\r\n 2\r\nB :3\r\n", " A: 1", "A: 1\r\njunk\r\n: 2", "A:\r\n\r\nB:", "a:\r\r\n\n b\r\n\tc"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, section string) {
		if len(section) > 1<<12 {
			return
		}
		if got, want := filters.ParseHeader(section), slowHeader(section); !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", section, got, want)
		}
	})
}

func TestIsFieldName(t *testing.T) {
	for name, want := range map[string]bool{
		"X-Client": true, "!~": true, "": false, "a b": false, "a:": false, ":": false, "\x7f": false, "ä": false, "a\n": false,
	} {
		if got := filters.IsFieldName(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}
