package peer

import (
	"testing"
	"time"
)

// An MTA is a real one that asks a milter.
type MTA interface {
	Address() string
	// Settle waits until the MTA has passed on all that it has accepted and
	// not set aside.
	Settle(t testing.TB, timeout time.Duration)
	// Quarantined returns how many messages the MTA has set aside.
	Quarantined(t testing.TB) int
	// Log returns all that the MTA has logged.
	Log() string
}

var (
	_ MTA = (*PostfixInstance)(nil)
	_ MTA = (*SendmailInstance)(nil)
)

// settle waits until queued returns nothing.
func settle(t testing.TB, name string, timeout time.Duration, queued func() []string) {
	t.Helper()
	deadline := time.Now().Add(timeout)
	for {
		files := queued()
		if len(files) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s still holds %d messages after %s: %s", name, len(files), timeout, files)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
