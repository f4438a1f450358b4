package peer

import (
	"strings"
	"testing"
)

// Stuff doubles the dots that begin a line.
func Stuff(text string) string {
	stuffed := strings.ReplaceAll(text, "\r\n.", "\r\n..")
	if strings.HasPrefix(stuffed, ".") {
		return "." + stuffed
	}
	return stuffed
}

// SameText compares two messages octet by octet and shows where they part.
func SameText(t testing.TB, got, want string) {
	t.Helper()
	if got == want {
		return
	}
	i := 0
	for i < min(len(got), len(want)) && got[i] == want[i] {
		i++
	}
	t.Errorf("%d octets, want %d; they part at octet %d:\n got %.60q\nwant %.60q",
		len(got), len(want), i, around(got, i), around(want, i))
}

// around returns s from a little before i on.
func around(s string, i int) string { return s[max(0, min(i, len(s))-20):] }

// tail returns the last lines of a log.
func tail(log string) string {
	lines := strings.SplitAfter(log, "\n")
	return strings.Join(lines[max(0, len(lines)-30):], "")
}
