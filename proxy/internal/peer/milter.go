package peer

import (
	"fmt"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailweir/mailweir/proxy/internal/peer/proc"
)

// A Milter is a running mailweir with one listener, which MTAs ask.
type Milter struct {
	*proc.Process
	Address string // where the MTA connects: "inet:host:port" or "unix:/path"

	binary      Mailweir
	dir, config string
	logFile
}

// MilterOptions are what a test may want of mailweir as a milter.
type MilterOptions struct {
	Unix  bool   // a Unix socket in place of a port
	Delay string // delay_reject; its default if empty
	Chain string // YAML: [{kind: {...}}, ...]
}

// Milter runs mailweir for an MTA to ask. It ends with the test.
func (m Mailweir) Milter(t testing.TB, o MilterOptions) *Milter {
	t.Helper()
	address := "unix:" + SocketPath(t)
	if !o.Unix {
		address = "inet:" + FreeAddr(t)
	}
	dir := t.TempDir()
	w := &Milter{
		Address: address,
		binary:  m,
		dir:     dir,
		config:  milterConfig(clientNames(t, nil), address, o),
		logFile: logFile(filepath.Join(dir, "log")),
	}
	w.Start(t)
	t.Cleanup(func() { stopMailweir(t, w.Process, w.logFile) })
	return w
}

// Start runs mailweir again, which has been killed.
func (w *Milter) Start(t testing.TB) {
	t.Helper()
	before := len(w.Records(t, "listening"))
	w.Process = w.binary.serve(t, nil, w.dir, w.config, w.logFile)
	_, where, _ := strings.Cut(w.Address, ":")
	if err := w.Listening(where, 20*time.Second); err != nil {
		t.Fatalf("%v\n%s", err, w.Log())
	}
	// A moment later a Unix socket is open to its group too.
	for deadline := time.Now().Add(20 * time.Second); len(w.Records(t, "listening")) == before; {
		if time.Now().After(deadline) {
			t.Fatalf("mailweir does not say that it listens:\n%s", w.Log())
		}
		time.Sleep(time.Millisecond)
	}
}

func milterConfig(names, address string, o MilterOptions) string {
	delay := ""
	if o.Delay != "" {
		delay = "delay_reject: " + o.Delay + "\n"
	}
	group := ""
	if _, err := user.LookupGroup("postfix"); o.Unix && err == nil {
		group = ", socket_group: postfix"
	}
	return fmt.Sprintf(`hostname: milter.test.example
log: {level: info, format: json}
dns: {servers: [%q]}
%slisteners:
  - {name: mta, address: %q, mode: milter%s}
chain: %s
`, names, delay, address, group, o.Chain)
}

// SocketPath returns a path for a Unix socket that every MTA can reach and
// trusts.
func SocketPath(t testing.TB) string {
	t.Helper()
	needRoot(t, "A milter that an MTA asks")
	return filepath.Join(rootDir(t, "mailweir-socket-"), "milter.sock")
}
