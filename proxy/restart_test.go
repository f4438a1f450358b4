//go:build linux

package proxy_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// restarts is how often the program is started again under load, and
// restartPace how many messages are acknowledged between.
const (
	restarts    = 20
	restartPace = 100
)

func rounds() int {
	if testing.Short() {
		return 3
	}
	return restarts
}

const restartConfig = `hostname: weir.example
log: {level: info}
drain_timeout: 10s
%s
listeners: [{name: mx, address: %q, upstream: {address: %q}}]
sessions: {max_per_client: 1000}
chain: [{helo: {}}]
`

// TestRestartKeptSocket restarts the program under load, while another one keeps
// the socket: no client is refused or cut off, and nothing is lost or doubled.
func TestRestartKeptSocket(t *testing.T) {
	sink := peer.Sink(t)
	p := newParent(t, "")
	at := p.pass("mx", "tcp", "127.0.0.1:0")
	p.configure(fmt.Sprintf(restartConfig, "", at, sink.Addr))
	running := p.start().ready()
	clients := gather(at)
	for range rounds() {
		clients.pace(t, restartPace)
		running.stop()
		running = p.start().ready()
	}
	clients.pace(t, restartPace)
	clients.leave(t, sink)
	running.stop()
}

// TestRestartSharedPort has a new process follow the old one at the same port
// again and again: no client is refused or cut off, and nothing is lost or
// doubled.
func TestRestartSharedPort(t *testing.T) {
	sink := peer.Sink(t)
	at := peer.FreeAddr(t)
	p := newParent(t, fmt.Sprintf(restartConfig, "reuse_port: true", at, sink.Addr))
	running := p.start().ready()
	clients := gather(at)
	for range rounds() {
		clients.pace(t, restartPace)
		next := p.start("--take-over", strconv.Itoa(running.cmd.Process.Pid)).ready()
		running.wait()
		running = next
	}
	clients.pace(t, restartPace)
	clients.leave(t, sink)
	running.stop()
}

// TestSharedEverything has a process follow another one that has the same state
// file, the same Unix socket and the same page for the operator.
func TestSharedEverything(t *testing.T) {
	admin, milter := peer.FreeAddr(t), filepath.Join(openDir(t), "milter.sock")
	p := newParent(t, fmt.Sprintf(restartConfig, "reuse_port: true", peer.FreeAddr(t), "127.0.0.1:1"))
	p.configure(fmt.Sprintf(`hostname: weir.example
reuse_port: true
state: {file: state.db}
admin: {address: %q}
listeners: [{name: in, mode: milter, address: "unix:%s"}]
chain: []
`, admin, milter))
	old := p.start().ready()
	next := p.start().ready()
	waits, has := "the state file is in use, it is waited for", "the state file is open"
	if log := next.log.String(); !strings.Contains(log, waits) || strings.Contains(log, has) {
		t.Errorf("the state file is in use: %s", log)
	}
	old.stop()
	until(t, has, func() bool { return strings.Contains(next.log.String(), has) })
	for range 20 {
		reply, err := http.Get("http://" + admin + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		reply.Body.Close()
		askMilter(t, milter)
	}
	next.stop()
}

// TestTakeOverWrong names processes that are none to take over from.
func TestTakeOverWrong(t *testing.T) {
	p := newParent(t, fmt.Sprintf(restartConfig, "", "127.0.0.1:0", "127.0.0.1:1"))
	for pid, want := range map[string]string{
		"1":                            "want the process of the mailweir that runs, got 1",
		"-5":                           "want the process of the mailweir that runs, got -5",
		"4194305":                      "there is no process 4194305: leave the flag out", // beyond PID_MAX_LIMIT
		strconv.Itoa(syscall.Getpid()): ", not mailweir",
	} {
		c := p.start("--take-over", pid)
		c.end()
		if c.err == nil || !strings.Contains(c.log.String(), want) {
			t.Errorf("%s: %v: %s", pid, c.err, c.log)
		}
	}
}
