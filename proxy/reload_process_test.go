package proxy_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// TestHangup signals the program as administrators do.
func TestHangup(t *testing.T) {
	binary := peer.BuildMailweir(t)
	sink := peer.Sink(t)
	at := peer.FreeAddr(t)
	file := filepath.Join(t.TempDir(), "mailweir.yaml")
	configure := func(level, policy string) {
		t.Helper()
		text := fmt.Sprintf(`hostname: weir.example
log: {level: %s, format: json}
listeners: [{name: mx, address: %q, upstream: {address: %q}}]
chain: [{headers: {add: [{name: X-Policy, value: %q}]}}]
`, level, at, sink.Addr, policy)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	configure("info", "1")
	log := new(syncBuffer)
	cmd := exec.Command(string(binary), "serve", "--config", file)
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop := sync.OnceFunc(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(log)
		}
	})
	defer stop()
	hangUp := func(records int, msg string) {
		t.Helper()
		if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		until(t, msg, func() bool { return len(recordsOf(t, log, msg)) == records })
	}
	until(t, "it listens", func() bool { return len(recordsOf(t, log, "listening")) == 1 })
	old := peer.Dial(t, at)
	old.Do("250", "EHLO client.test.example")

	configure("info", "2")
	hangUp(1, "loaded the configuration again")
	fresh := peer.Dial(t, at)
	fresh.Do("250", "EHLO client.test.example")
	post(fresh, "new")
	post(old, "old")
	messages := sink.Wait(t, 2, patience)
	if policies(messages[0]) != "2" || policies(messages[1]) != "1" {
		t.Errorf("the messages were judged by %q and %q", policies(messages[0]), policies(messages[1]))
	}

	configure("noisy", "3")
	hangUp(1, "cannot load the configuration; the old configuration stays in force")
	problem := recordsOf(t, log, "cannot load the configuration; the old configuration stays in force")[0]["error"].(string)
	if want := file + ":2:14: level: want one of debug, info, warn, error"; !strings.HasPrefix(problem, want) {
		t.Errorf("the problem is %q, want %q", problem, want)
	}
	configure("info", "4")
	hangUp(2, "loaded the configuration again")
	configure("error", "5")
	if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	until(t, "the last policy is in force", func() bool {
		n := len(sink.Messages())
		c := peer.Dial(t, at)
		c.Do("250", "EHLO client.test.example")
		post(c, "x")
		c.Do("221", "QUIT")
		return policies(sink.Wait(t, n+1, patience)[n]) == "5"
	})
	stop()
	if len(recordsOf(t, log, "stopped")) > 0 {
		t.Error("the level of the log has not changed")
	}
}

// recordsOf returns the records with that message.
func recordsOf(t *testing.T, log *syncBuffer, msg string) []map[string]any {
	t.Helper()
	var list []map[string]any
	for line := range strings.Lines(log.String()) {
		var record map[string]any
		if !strings.HasSuffix(line, "\n") {
			break
		}
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if record["msg"] == msg {
			list = append(list, record)
		}
	}
	return list
}
