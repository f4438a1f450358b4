package peer

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
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

// serve writes the configuration into dir and starts mailweir with it, which
// adds to the log.
func (m Mailweir) serve(t testing.TB, where *Netns, dir, config string, to logFile) *proc.Process {
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
	p, err := proc.Start(where.command(string(m), "serve", "--config", file), log)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// stopMailweir ends mailweir as an administrator does; it must end in order.
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
