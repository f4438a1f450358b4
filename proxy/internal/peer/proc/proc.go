// Package proc runs the programs that tests and benchmarks need beside
// mailweir, each in a process group of its own, and reads what they cost.
package proc

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// A Process is a running program and all its children.
type Process struct {
	PID  int
	name string
	done chan struct{} // closed when the program has ended
	err  error         // why it ended; valid once done is closed
}

// Start runs cmd in a new process group and writes what it prints to out.
func Start(cmd *exec.Cmd, out io.Writer) (*Process, error) {
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &Process{PID: cmd.Process.Pid, name: cmd.Args[0], done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// Dial is net.DialTimeout, or one that dials from another place.
type Dial func(network, addr string, timeout time.Duration) (net.Conn, error)

// Listening waits until addr, host:port or the path of a Unix socket, accepts
// connections. It gives up when the program ends or the time is over.
func (p *Process) Listening(addr string, timeout time.Duration) error {
	return p.ListeningTo(net.DialTimeout, addr, timeout)
}

// ListeningTo is Listening for whoever dials so.
func (p *Process) ListeningTo(dial Dial, addr string, timeout time.Duration) error {
	network := "tcp"
	if strings.HasPrefix(addr, "/") {
		network = "unix"
	}
	return p.Until("listens at "+addr, timeout, func() bool {
		c, err := dial(network, addr, time.Second)
		if err != nil {
			return false
		}
		c.Close()
		return true
	})
}

// Until waits until ready returns true, which is when the program does what is
// told in words: "listens at". It gives up when the program ends or the time is
// over.
func (p *Process) Until(what string, timeout time.Duration, ready func() bool) error {
	deadline := time.After(timeout)
	for !ready() {
		select {
		case <-p.done:
			return fmt.Errorf("%s ended before it %s: %w", p.name, what, p.ended())
		case <-deadline:
			return fmt.Errorf("%s has not come so far within %s that it %s", p.name, timeout, what)
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}

// Stop asks the program to end, and kills its group if it does not within the
// time. A program that ends with another status than 0, or by another signal
// than the one that asked it, gives an error.
func (p *Process) Stop(timeout time.Duration) error {
	select {
	case <-p.done: // its PID may be another's by now
		return p.ended()
	default:
	}
	syscall.Kill(p.PID, syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(timeout):
		syscall.Kill(-p.PID, syscall.SIGKILL)
		<-p.done
		return fmt.Errorf("%s did not end within %s of SIGTERM", p.name, timeout)
	}
	syscall.Kill(-p.PID, syscall.SIGKILL) // children that outlive it
	return p.ended()
}

// Ended reports whether the program has ended.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Kill ends the program and all its children without asking.
func (p *Process) Kill() {
	select {
	case <-p.done:
	default:
		syscall.Kill(-p.PID, syscall.SIGKILL)
		<-p.done
	}
}

// ended returns why the program ended, nil if as it should.
func (p *Process) ended() error {
	var exit *exec.ExitError
	if errors.As(p.err, &exit) {
		if status := exit.Sys().(syscall.WaitStatus); status.Signaled() && status.Signal() == syscall.SIGTERM {
			return nil
		}
	}
	return p.err
}
