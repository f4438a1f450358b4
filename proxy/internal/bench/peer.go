package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
)

// A peer is one way to pass mail on.
type peer struct {
	name string
	in   place // where it is measured
	// program returns the file of the peer's program, which it may build in dir.
	program func(ctx context.Context, dir string) (string, error)
	// configure writes the configuration to pass mail from addr on to upstream
	// into file, and returns the program's arguments.
	configure func(file, addr, upstream string) ([]string, error)
	// start, if there is one, starts what takes more than a program and its
	// configuration.
	start   func(p peer, upstream string) (*runner, error)
	version []string // arguments with which the program tells its version
	share   float64  // of a workload's messages that it gets, as it would take too long with all; 0 for all
}

// A place is a set of what peers are measured in.
type place uint8

const (
	inMessages place = 1 << iota // workloads of many messages
	inBulk                       // workloads of large messages
	inLatency
	inGroups
	everywhere = inMessages | inBulk | inLatency | inGroups
)

// peers are what is measured. The first has no program: nothing stands between.
// mailweir's chain asks these names, and guide tells nginx where mail goes.
func peers(n *names, g *guide) []peer {
	build := once(build)
	return []peer{
		{name: "direct", in: everywhere},
		{name: baseline, in: everywhere, program: installed("haproxy"), configure: haproxy, version: []string{"-v"}},
		// It makes a message wait 40 ms for a delayed acknowledgement.
		{name: "nginx", in: everywhere, program: nginxProgram, configure: g.nginx, version: []string{"-v"}, share: 0.1},
		{name: "Postfix", in: everywhere, start: startPostfix, share: 0.5},
		{name: ourName, in: everywhere, program: build, configure: n.full(options{})},
		{name: "mailweir, upstream reuse", in: inMessages, program: build, configure: n.full(options{reuse: true})},
		{name: "mailweir, body read", in: inBulk, program: build, configure: n.full(options{body: true})},
	}
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

// once returns a program that is built for the first peer that needs it.
func once(program func(context.Context, string) (string, error)) func(context.Context, string) (string, error) {
	var do sync.Once
	var file string
	var err error
	return func(ctx context.Context, dir string) (string, error) {
		do.Do(func() { file, err = program(ctx, dir) })
		return file, err
	}
}

// haproxyConfig ends with what else there is to say of the listener.
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
%s`

// haproxy passes octets on without a look at them.
func haproxy(file, addr, upstream string) ([]string, error) {
	text := fmt.Sprintf(haproxyConfig, runtime.NumCPU(), addr, upstream, "")
	// -db: one process, in the foreground.
	return []string{"-db", "-f", file}, os.WriteFile(file, []byte(text), 0o644)
}
