package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// A peer is one way to pass mail on.
type peer struct {
	name string
	// program returns the file of the peer's program, which it may build in dir.
	program func(ctx context.Context, dir string) (string, error)
	// configure writes the configuration to pass mail from addr on to upstream
	// into file, and returns the program's arguments.
	configure func(file, addr, upstream string) ([]string, error)
	version   []string // arguments with which the program tells its version
}

// peers are what is measured. The first has no program: nothing stands between.
var peers = []peer{
	{name: "direct"},
	{name: "haproxy", program: installed("haproxy"), configure: haproxy, version: []string{"-v"}},
	{name: ourName, program: build, configure: mailweir},
}

const ourName = "mailweir"

// baseline is the peer that the others are compared with.
const baseline = "haproxy"

// errNotInstalled is the end of a peer, but not of the measurement.
var errNotInstalled = errors.New("not installed")

// installed finds a program of the machine.
func installed(name string) func(context.Context, string) (string, error) {
	return func(context.Context, string) (string, error) {
		for _, file := range []string{name, "/usr/sbin/" + name} {
			if path, err := exec.LookPath(file); err == nil {
				return path, nil
			}
		}
		return "", fmt.Errorf("%s: %w", name, errNotInstalled)
	}
}

// build builds mailweir from the source at hand.
func build(ctx context.Context, dir string) (string, error) {
	file := filepath.Join(dir, "mailweir")
	cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", file,
		"github.com/mailweir/mailweir/cmd/mailweir")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return file, nil
}

const haproxyConfig = `global
  nbthread %d
  maxconn 4000
defaults
  mode tcp
  timeout connect 10s
  timeout client 300s
  timeout server 300s
listen smtp
  bind %s
  server sink %s
`

// haproxy passes octets on without a look at them.
func haproxy(file, addr, upstream string) ([]string, error) {
	text := fmt.Sprintf(haproxyConfig, runtime.NumCPU(), addr, upstream)
	// -db: one process, in the foreground.
	return []string{"-db", "-f", file}, os.WriteFile(file, []byte(text), 0o644)
}

// defaultChain is the chain that is measured, as relay and as milter.
const defaultChain = `chain:
  - access: {deny: [192.0.2.0/24]}
  - helo: {}
  - verbs: {}
  - size: {max: 50MiB}
  - rcpt: {max: 1000}
`

// mailweirConfig has the default of everything but the numbers of sessions.
const mailweirConfig = `hostname: relay.test.example
log: {level: info, format: json}
sessions: {max: 4000, max_per_client: 4000}
listeners:
  - name: mx
    address: %q
    upstream: {address: %q, max_connections: 4000}
` + defaultChain

func mailweir(file, addr, upstream string) ([]string, error) {
	text := fmt.Sprintf(mailweirConfig, addr, upstream)
	return []string{"serve", "--config", file}, os.WriteFile(file, []byte(text), 0o644)
}
