package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

const idleSessions = 1000

// measureIdle returns, as a table, what a session costs whose client has
// greeted and is silent now. Each peer is started anew.
func (f *field) measureIdle(ctx context.Context) (string, error) {
	var rows strings.Builder
	for _, p := range f.among(inIdle) {
		r, err := p.run(p.file, f.dir, f.sink.addr)
		if err != nil {
			return "", err
		}
		octets, err := r.idleSession(ctx)
		r.stop()
		if err != nil {
			return "", fmt.Errorf("%s: %w", p.name, err)
		}
		fmt.Fprintf(&rows, "| %s | %.1f KiB |\n", p.name, float64(octets)/1024)
	}
	text := fmt.Sprintf("\n### Idle sessions\n\nResident memory per session, of %d that have said EHLO.\n\n"+
		"| | memory |\n| --- | ---: |\n%s", idleSessions, rows.String())
	fmt.Print(text)
	return text, nil
}

// idleSession returns the resident memory that a session takes, in octets.
func (r *runner) idleSession(ctx context.Context) (int64, error) {
	if err := r.greet(ctx, 10, func() {}); err != nil { // to warm up
		return 0, err
	}
	before, err := r.proc.RSS()
	if err != nil {
		return 0, err
	}
	var after int64
	if greetErr := r.greet(ctx, idleSessions, func() {
		time.Sleep(500 * time.Millisecond)
		after, err = r.proc.RSS()
	}); greetErr != nil {
		return 0, greetErr
	}
	return (after - before) / idleSessions, err
}

// greet opens n sessions and calls then while all of them are open.
func (r *runner) greet(ctx context.Context, n int, then func()) error {
	dialer := net.Dialer{Timeout: 10 * time.Second}
	for range n {
		conn, err := dialer.DialContext(ctx, "tcp", r.addr)
		if err != nil {
			return err
		}
		defer conn.Close()
		if err := hello(conn); err != nil {
			return err
		}
	}
	then()
	return nil
}

// hello reads the greeting, says EHLO and reads the reply to it.
func hello(conn net.Conn) error {
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	in := bufio.NewReaderSize(conn, 512)
	for _, command := range []string{"", "EHLO client.test.example\r\n"} {
		if _, err := io.WriteString(conn, command); err != nil {
			return err
		}
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return err
			}
			if line[0] != '2' {
				return fmt.Errorf("refused: %s", line)
			}
			if len(line) > 3 && line[3] == ' ' {
				break
			}
		}
	}
	return nil
}
