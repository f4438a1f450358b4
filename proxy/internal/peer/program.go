package peer

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"testing"
	"time"
)

// SmtpSource runs Postfix's message generator against addr and fails the test
// if it does: it stops at the first reply that it does not expect.
func SmtpSource(t testing.TB, addr string, args ...string) {
	t.Helper()
	Need(t, "smtp-source", "postfix")
	// A short back-log is no failure of what is tested.
	args = append([]string{"-C", "10", "-M", "client.test.example"}, args...)
	if out, exit := run(t, 3*time.Minute, "smtp-source", append(args, addr)...); exit != 0 {
		t.Fatalf("smtp-source ended with status %d: %s", exit, out)
	}
}

// Swaks runs swaks against addr and returns the dialogue and its exit status:
// 0 for a message accepted, otherwise the number of what was refused.
func Swaks(t testing.TB, addr string, args ...string) (output string, exit int) {
	t.Helper()
	Need(t, "swaks", "swaks")
	args = append([]string{"--server", addr, "--timeout", "20", "--helo", "client.test.example"}, args...)
	return run(t, time.Minute, "swaks", args...)
}

// run runs a program to its end and returns what it printed and its status.
func run(t testing.TB, timeout time.Duration, name string, args ...string) (string, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, find(name), args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && ctx.Err() == nil {
		return out.String(), exit.ExitCode()
	}
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out.Bytes())
	}
	return out.String(), 0
}
