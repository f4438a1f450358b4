package main

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"time"
)

// A workload is the messages that one run sends.
type workload struct {
	name     string
	messages int
	octets   int // of a message's body
	sessions int // at once
	keep     bool
	bulk     bool   // what counts is octets, not messages
	file     string // of the message, if it is not smtp-source's own
}

var workloads = []workload{
	{name: "A connection for each message", messages: 6_000, octets: 4 << 10, sessions: 10},
	{name: "Kept connections", messages: 16_000, octets: 4 << 10, sessions: 10, keep: true},
	{name: "Messages of 10 MiB", messages: 40, octets: 10 << 20, sessions: 2, keep: true, bulk: true},
}

// place is where peers must be measured to get the workload.
func (w workload) place() place {
	if w.bulk {
		return inBulk
	}
	return inMessages
}

// String tells what is sent.
func (w workload) String() string {
	kept := "a connection each"
	if w.keep {
		kept = "kept connections"
	}
	return fmt.Sprintf("%d messages of %d octets, %d at once, %s", w.messages, w.octets, w.sessions, kept)
}

func (w workload) scaled(by float64) workload {
	w.messages = max(w.sessions, int(float64(w.messages)*by))
	return w
}

// runTimeout ends a run that hangs.
const runTimeout = 2 * time.Minute

// send has source send the messages to addr and returns how long that took.
func (w workload) send(ctx context.Context, source, addr string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	args := []string{"-C", "10", "-M", "client.test.example",
		"-s", strconv.Itoa(w.sessions), "-m", strconv.Itoa(w.messages)}
	if w.keep {
		args = append(args, "-d")
	}
	if w.file != "" {
		args = append(args, "-F", w.file)
	} else {
		args = append(args, "-l", strconv.Itoa(w.octets))
	}
	began := time.Now()
	if out, err := exec.CommandContext(ctx, source, append(args, addr)...).CombinedOutput(); err != nil {
		return 0, fmt.Errorf("smtp-source to %s: %w: %s", addr, err, out)
	}
	return time.Since(began), nil
}
