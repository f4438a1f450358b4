package peer

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Again runs a relay again that has been killed, at the same address.
func (m Mailweir) Again(t testing.TB, r *Relay) {
	t.Helper()
	config, err := os.ReadFile(filepath.Join(r.Dir, "mailweir.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		before := r.listens()
		r.Process = m.serve(t, nil, r.Dir, string(config), r.logFile)
		if err = r.listening(before); err == nil {
			return
		}
		r.Kill() // a connection of another process may have the port, for as long as it lasts
	}
	t.Fatalf("%v\n%s", err, tail(r.Log()))
}
