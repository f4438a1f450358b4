package peer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailweir/mailweir/proxy/internal/peer/proc"
)

// A Mailweir is a built binary.
type Mailweir string

// BuildMailweir builds mailweir for this test and its subtests.
func BuildMailweir(t testing.TB) Mailweir {
	t.Helper()
	file := filepath.Join(t.TempDir(), "mailweir")
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", file,
		"github.com/mailweir/mailweir/cmd/mailweir")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", build, err, out)
	}
	return Mailweir(file)
}

// A Relay is a running mailweir with one listener, which relays.
type Relay struct {
	*proc.Process
	Addr string // where clients connect

	logFile string
}

// Relay runs mailweir in front of upstream. listener and chain are YAML: more
// keys of the listener, as {key: value, ...}, and the entries of the chain,
// as [{kind: {...}}, ...]. It ends with the test.
func (m Mailweir) Relay(t testing.TB, upstream, listener, chain string) *Relay {
	t.Helper()
	dir := t.TempDir()
	var err error
	for range 3 { // another process may have taken the free port
		r := &Relay{Addr: FreeAddr(t), logFile: filepath.Join(dir, "log")}
		file := filepath.Join(dir, "mailweir.yaml")
		if err = os.WriteFile(file, []byte(relayConfig(r.Addr, upstream, listener, chain)), 0o644); err != nil {
			t.Fatal(err)
		}
		var log *os.File
		if log, err = os.Create(r.logFile); err != nil {
			t.Fatal(err)
		}
		if r.Process, err = proc.Start(exec.Command(string(m), "serve", "--config", file), log); err != nil {
			t.Fatal(err)
		}
		log.Close()
		if err = r.Listening(r.Addr, 20*time.Second); err == nil {
			t.Cleanup(func() { r.stop(t) })
			return r
		}
		r.Stop(time.Second)
		t.Logf("mailweir: %s", r.Log())
	}
	t.Fatal(err)
	return nil
}

func relayConfig(addr, upstream, listener, chain string) string {
	listener = strings.TrimSuffix(strings.TrimPrefix(listener, "{"), "}")
	return fmt.Sprintf(`hostname: relay.test.example
log: {level: info, format: json}
listeners:
  - {name: mx, address: %q, upstream: {address: %q}, %s}
chain: %s
`, addr, upstream, listener, chain)
}

// stop ends mailweir as an administrator does; it must end in order.
func (r *Relay) stop(t testing.TB) {
	if err := r.Stop(10 * time.Second); err != nil {
		t.Errorf("mailweir: %v", err)
	}
	if t.Failed() {
		t.Logf("the end of mailweir's log:\n%s", tail(r.Log()))
	}
}

// Log returns all that mailweir has logged.
func (r *Relay) Log() string {
	data, _ := os.ReadFile(r.logFile)
	return string(data)
}

// Records returns the records of the log with that message.
func (r *Relay) Records(t testing.TB, msg string) []map[string]any {
	t.Helper()
	var records []map[string]any
	for line := range bytes.Lines([]byte(r.Log())) {
		var record map[string]any
		if err := json.Unmarshal(line, &record); err != nil {
			t.Fatalf("a line of the log is no JSON: %q", line)
		}
		if record["msg"] == msg {
			records = append(records, record)
		}
	}
	return records
}
