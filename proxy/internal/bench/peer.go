package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/mailweir/mailweir/proxy/internal/peer/proc"
)

// A peer is one way to pass mail on.
type peer struct {
	name    string
	version []string // the command that tells it
	// start returns the command that passes mail from addr on to upstream.
	// dir is its own. It is nil where nothing stands between.
	start func(ctx context.Context, dir, addr, upstream string) (*exec.Cmd, error)
}

// peers are what is measured. Another one is one more line.
var peers = []peer{
	{name: "direct"},
	{name: "haproxy", version: []string{"haproxy", "-v"}, start: haproxy},
	{name: "mailweir", start: mailweir},
}

// baseline is the peer that the others are compared with.
const baseline = "haproxy"

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
func haproxy(_ context.Context, dir, addr, upstream string) (*exec.Cmd, error) {
	file := filepath.Join(dir, "haproxy.cfg")
	text := fmt.Sprintf(haproxyConfig, runtime.NumCPU(), addr, upstream)
	// -db: one process, in the foreground.
	return exec.Command("haproxy", "-db", "-f", file), os.WriteFile(file, []byte(text), 0o644)
}

// mailweirConfig has the default of everything but the numbers of sessions.
const mailweirConfig = `hostname: relay.test.example
log: {level: info, format: json}
sessions: {max: 4000, max_per_client: 4000}
listeners:
  - name: mx
    address: %q
    upstream: {address: %q, max_connections: 4000}
chain:
  - access: {deny: [192.0.2.0/24]}
  - helo: {}
  - verbs: {}
  - size: {max: 50MiB}
  - rcpt: {max: 1000}
`

// mailweir is built from the source at hand.
func mailweir(ctx context.Context, dir, addr, upstream string) (*exec.Cmd, error) {
	binary, file := filepath.Join(dir, "mailweir"), filepath.Join(dir, "mailweir.yaml")
	build := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", binary,
		"github.com/mailweir/mailweir/cmd/mailweir")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", build, err, out)
	}
	text := fmt.Sprintf(mailweirConfig, addr, upstream)
	return exec.Command(binary, "serve", "--config", file), os.WriteFile(file, []byte(text), 0o644)
}

// A runner is a peer that runs.
type runner struct {
	peer
	addr string
	proc *proc.Process // nil where nothing stands between
	log  string        // the file of what it prints
}

// run starts the peer. What it prints goes into a file.
func (p peer) run(ctx context.Context, dir, upstream string) (*runner, error) {
	if p.start == nil {
		return &runner{peer: p, addr: upstream}, nil
	}
	dir, err := os.MkdirTemp(dir, p.name)
	if err != nil {
		return nil, err
	}
	addr, err := proc.FreeAddr()
	if err != nil {
		return nil, err
	}
	cmd, err := p.start(ctx, dir, addr, upstream)
	if err != nil {
		return nil, err
	}
	return launch(p, cmd, addr, filepath.Join(dir, "log"))
}

func launch(p peer, cmd *exec.Cmd, addr, log string) (*runner, error) {
	out, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	process, err := proc.Start(cmd, out)
	if err != nil {
		return nil, err
	}
	r := &runner{peer: p, addr: addr, proc: process, log: log}
	if err := process.Listening(addr, 10*time.Second); err != nil {
		r.stop()
		said, _ := os.ReadFile(log)
		return nil, fmt.Errorf("%w\n%s", err, said)
	}
	return r, nil
}

func (r *runner) stop() {
	if r.proc != nil {
		r.proc.Stop(10 * time.Second)
	}
}
