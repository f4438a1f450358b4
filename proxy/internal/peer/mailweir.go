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

	logFile
}

// Relay runs mailweir in front of upstream. listener and chain are YAML: more
// keys of the listener, as {key: value, ...}, and the entries of the chain,
// as [{kind: {...}}, ...]. It ends with the test.
func (m Mailweir) Relay(t testing.TB, upstream, listener, chain string) *Relay {
	t.Helper()
	dir := t.TempDir()
	names := clientNames(t)
	var err error
	for range 3 { // another process may have taken the free port
		r := &Relay{Addr: FreeAddr(t), logFile: logFile(filepath.Join(dir, "log"))}
		r.Process = m.serve(t, dir, relayConfig(names, r.Addr, upstream, listener, chain), r.logFile)
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

// serve writes the configuration into dir and starts mailweir with it, which
// adds to the log.
func (m Mailweir) serve(t testing.TB, dir, config string, to logFile) *proc.Process {
	t.Helper()
	file := filepath.Join(dir, "mailweir.yaml")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	log, err := os.OpenFile(string(to), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	p, err := proc.Start(exec.Command(string(m), "serve", "--config", file), log)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func relayConfig(names, addr, upstream, listener, chain string) string {
	listener = strings.TrimSuffix(strings.TrimPrefix(listener, "{"), "}")
	return fmt.Sprintf(`hostname: relay.test.example
log: {level: info, format: json}
dns: {servers: [%q]}
listeners:
  - {name: mx, address: %q, upstream: {address: %q}, %s}
chain: %s
`, names, addr, upstream, listener, chain)
}

// stop ends mailweir as an administrator does; it must end in order.
func (r *Relay) stop(t testing.TB) { stopMailweir(t, r.Process, r.logFile) }

func stopMailweir(t testing.TB, p *proc.Process, log logFile) {
	if err := p.Stop(10 * time.Second); err != nil {
		t.Errorf("mailweir: %v", err)
	}
	if t.Failed() {
		t.Logf("the end of mailweir's log:\n%s", tail(log.Log()))
	}
}

// A logFile is where mailweir logs.
type logFile string

// Log returns all that mailweir has logged.
func (f logFile) Log() string {
	data, _ := os.ReadFile(string(f))
	return string(data)
}

// Records returns the records of the log with that message.
func (f logFile) Records(t testing.TB, msg string) []map[string]any {
	t.Helper()
	var records []map[string]any
	for line := range bytes.Lines([]byte(f.Log())) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			break // it is being written
		}
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
