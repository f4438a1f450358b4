package flood_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailweir/mailweir/proxy/internal/flood"
	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// upstreamFile makes the test's program the upstream that writes into that file.
const upstreamFile = "FLOOD_UPSTREAM"

func TestMain(m *testing.M) {
	if file := os.Getenv(upstreamFile); file != "" {
		if err := flood.ServeUpstream(file); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// upstream is an MTA in a process of its own.
type upstream struct{ addr, file string }

// newUpstream starts one that ends with the test.
func newUpstream(t *testing.T) *upstream {
	t.Helper()
	u := &upstream{file: filepath.Join(t.TempDir(), "ids")}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), upstreamFile+"="+u.file)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the upstream: %v", err)
		}
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	u.addr = strings.TrimSpace(line)
	return u
}

// wants checks that it has these messages.
func (u *upstream) wants(t *testing.T, ids []string) {
	t.Helper()
	data, err := os.ReadFile(u.file)
	if err != nil {
		t.Fatal(err)
	}
	has := make(map[string]bool)
	for id := range strings.Lines(string(data)) {
		has[strings.TrimSpace(id)] = true
	}
	for _, id := range ids {
		if !has[id] {
			t.Errorf("%s was acknowledged, and is not at the upstream", id)
		}
	}
}

// weir is a mailweir before an upstream, with its metrics at a Unix socket.
type weir struct {
	*peer.Relay
	up    *upstream
	watch *flood.Watch
}

// newWeir starts one. listener and top are more keys of the configuration in YAML.
func newWeir(t *testing.T, binary peer.Mailweir, listener, top string, more ...string) *weir {
	t.Helper()
	w := &weir{up: newUpstream(t)}
	socket := filepath.Join(t.TempDir(), "admin")
	up := fmt.Sprintf("upstream: {address: %q, max_connections: 20000}, ", w.up.addr)
	for i := range more {
		more[i] = up + more[i]
	}
	w.Relay = binary.RelayWith(t, peer.RelayOptions{
		Listener: up + listener,
		More:     more,
		Top:      "admin: {pprof: true, address: \"unix:" + socket + "\"}\n" + top,
	})
	w.watch = flood.NewWatch(socket)
	t.Cleanup(w.watch.Close)
	return w
}
