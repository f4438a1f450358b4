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
	for range 3 { // another process may have taken the port meanwhile, for one connection
		r.Process = m.serve(t, nil, r.Dir, string(config), r.logFile)
		if err = r.Listening(r.Addr, 20*time.Second); err == nil {
			return
		}
		r.Kill()
	}
	t.Fatalf("%v\n%s", err, tail(r.Log()))
}
