package peer

import (
	"regexp"
	"testing"
	"time"
)

// A Logger is a program whose log a test may read: an MTA, mailweir, haproxy,
// Dovecot.
type Logger interface {
	// Log returns all that the program has logged.
	Log() string
}

// Logged waits for a line of the log that matches the pattern and returns the
// match and its groups, those of the last such line: programs log a moment after
// they have answered.
func Logged(t testing.TB, from Logger, pattern string) []string {
	t.Helper()
	expression := regexp.MustCompile("(?m)" + pattern)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		log := from.Log()
		if all := expression.FindAllStringSubmatch(log, -1); all != nil {
			return all[len(all)-1]
		}
		if time.Now().After(deadline) {
			t.Fatalf("the log has no line with %q:\n%s", pattern, tail(log))
		}
	}
}
