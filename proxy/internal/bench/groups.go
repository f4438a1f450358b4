package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

const (
	groupRcpts    = 10
	groupMessages = 200
)

// group is what a client sends at once that knows PIPELINING (RFC 2920).
var group = []byte("MAIL FROM:<a@client.test.example>\r\n" +
	strings.Repeat("RCPT TO:<b@test.example>\r\n", groupRcpts) + "DATA\r\n")

// measureGroups returns, as a table, how often the peers wait for the upstream
// in a group of commands. Each peer is started anew.
func (f *field) measureGroups(ctx context.Context, scale float64) (string, error) {
	messages := max(10, int(groupMessages*scale))
	var text strings.Builder
	fmt.Fprintf(&text, "\n### A group of commands\n\nMAIL, %d RCPT and DATA sent at once, %d times on one connection. "+
		"How often the upstream was waited for, median and most, and the time from the group to the last reply to it.\n\n", groupRcpts, messages)
	text.WriteString("| | waits for the upstream | most | median, µs |\n| --- | ---: | ---: | ---: |\n")
	for _, p := range f.among(inGroups) {
		row, err := f.groupRow(ctx, p.peer, messages)
		if err != nil {
			return "", fmt.Errorf("%s: %w", p.name, err)
		}
		text.WriteString(row)
	}
	fmt.Fprintln(os.Stderr, "groups: done")
	fmt.Print(text.String())
	return text.String(), nil
}

func (f *field) groupRow(ctx context.Context, p peer, messages int) (string, error) {
	upstream, err := startTurns()
	if err != nil {
		return "", err
	}
	defer upstream.stop()
	r, err := p.prepare(ctx, f.dir, upstream.listener.Addr().String())
	if err != nil {
		return "", err
	}
	defer r.stop()
	c, err := dial(ctx, "", r.addr)
	if err != nil {
		return "", err
	}
	defer c.Close()
	for range 10 { // nginx takes no group in front of a session's first message
		if _, err := c.send(); err != nil {
			return "", err
		}
	}
	upstream.take()
	times := make([]time.Duration, messages)
	for i := range times {
		if times[i], err = c.sendGroup(); err != nil {
			return "", err
		}
	}
	counts := upstream.take()
	if len(counts) != messages {
		return "", fmt.Errorf("the upstream got %d of %d messages", len(counts), messages)
	}
	slices.Sort(counts)
	slices.Sort(times)
	return fmt.Sprintf("| %s | %d | %d | %d |\n", p.name, median(counts), counts[len(counts)-1], median(times).Microseconds()), nil
}

// sendGroup sends a message, its commands as a group, and returns how long the
// replies to that took.
func (c *client) sendGroup() (time.Duration, error) {
	c.conn.SetDeadline(time.Now().Add(runTimeout))
	began := time.Now()
	if _, err := c.conn.Write(group); err != nil {
		return 0, err
	}
	for i := range 1 + groupRcpts + 1 {
		want := 250
		if i > groupRcpts {
			want = 354
		}
		if _, _, err := c.ReadResponse(want); err != nil {
			return 0, err
		}
	}
	took := time.Since(began)
	text := dialogue[len(dialogue)-1]
	return took, c.say(text.say, text.want)
}
