package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"

	"github.com/mailweir/mailweir/proxy/internal/peer/proc"
)

// A runner is a peer that runs.
type runner struct {
	peer
	file string // of its program
	addr string
	proc *proc.Process // nil where nothing stands between
	log  string        // the file of what it prints
	out  *os.File      // the same, open
	end  func()        // ends it, where proc does not
	sent int           // messages
}

// prepare finds or builds the peer's program and starts it, if there is one, on
// the IPv6 loopback: DNS lists are never asked about 127.0.0.1.
func (p peer) prepare(ctx context.Context, dir, upstream string) (*runner, error) {
	switch {
	case p.start != nil:
		return p.start(p, upstream)
	case p.program == nil:
		return &runner{peer: p, addr: upstream}, nil
	}
	file, err := p.program(ctx, dir)
	if err != nil {
		return nil, err
	}
	addr, err := proc.FreeAddr("::1")
	if err != nil {
		return nil, fmt.Errorf("all of this wants IPv6 on loopback: %w", err)
	}
	return p.runAt(addr, file, dir, upstream)
}

// run starts the peer, with files of its own in dir.
func (p peer) run(file, dir, upstream string) (*runner, error) {
	addr, err := proc.FreeAddr("127.0.0.1")
	if err != nil {
		return nil, err
	}
	return p.runAt(addr, file, dir, upstream)
}

// runAt starts the peer at addr, which may be the path of a Unix socket.
func (p peer) runAt(addr, file, dir, upstream string) (*runner, error) {
	own, err := os.MkdirTemp(dir, "peer-")
	if err != nil {
		return nil, err
	}
	args, err := p.configure(filepath.Join(own, "config"), addr, upstream)
	if err != nil {
		return nil, err
	}
	r := &runner{peer: p, file: file, addr: addr, log: filepath.Join(own, "log")}
	return r, r.launch(args)
}

// launch starts the runner's program. What it prints goes into the log through a
// pipe, as under a service manager.
func (r *runner) launch(args []string) (err error) {
	if r.out, err = os.Create(r.log); err != nil {
		return err
	}
	if r.proc, err = proc.Start(exec.Command(r.file, args...), piped{r.out}); err != nil {
		return err
	}
	if err := r.proc.Listening(r.addr, 10*time.Second); err != nil {
		r.stop()
		said, _ := os.ReadFile(r.log)
		return fmt.Errorf("%w\n%s", err, said)
	}
	return nil
}

// piped is a file that programs are not given as it is.
type piped struct{ io.Writer }

func (r *runner) stop() {
	switch {
	case r.end != nil:
		r.end()
	case r.proc != nil:
		r.proc.Stop(10 * time.Second)
		r.out.Close()
	}
}

// cpu returns the processor time used so far.
func (r *runner) cpu() (time.Duration, error) {
	if r.proc == nil {
		return 0, nil
	}
	return r.proc.CPU()
}

// released returns the program's version, as it tells it.
func (r *runner) released(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, r.file, r.version...).CombinedOutput() // nginx tells it as an error
	if err != nil {
		return ""
	}
	return regexp.MustCompile(`[0-9]+\.[0-9]\S*`).FindString(string(out))
}
