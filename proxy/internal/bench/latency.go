package main

import (
	"context"
	"fmt"
	"net"
	"net/textproto"
	"os"
	"slices"
	"strings"
	"time"
)

const (
	latencyMessages = 2000
	latencyBlock    = 20 // messages, before it is the next peer's turn
	latencyOctets   = 4 << 10
)

// measureLatency returns, as a table, how long one message takes, sent by one
// client that is alone and keeps its connection.
func (f *field) measureLatency(ctx context.Context, scale float64) (string, error) {
	blocks := max(1, int(latencyMessages*scale)/latencyBlock)
	clients := make([]*client, len(f.runners))
	for i, r := range f.runners {
		c, err := dial(ctx, "", r.addr)
		if err != nil {
			return "", fmt.Errorf("%s: %w", r.name, err)
		}
		defer c.Close()
		clients[i] = c
	}
	times := make([][]time.Duration, len(clients))
	for block := range blocks + 1 { // the first one only warms up
		for turn := range clients {
			i := (turn + block) % len(clients)
			took, err := clients[i].sendBlock()
			if err != nil {
				return "", fmt.Errorf("%s: %w", f.runners[i].name, err)
			}
			if block > 0 {
				times[i] = append(times[i], took...)
			}
		}
	}
	f.sent += (blocks + 1) * latencyBlock
	fmt.Fprintln(os.Stderr, "latency: done")
	return f.latencyTable(times), nil
}

func (f *field) latencyTable(times [][]time.Duration) string {
	var text strings.Builder
	fmt.Fprintf(&text, "\n### Latency\n\nTime from MAIL to the reply to the final dot, of %d messages of %d octets, one after the other "+
		"on one connection, without pipelining; the peers take turns every %d messages.\n\n", len(times[0]), latencyOctets, latencyBlock)
	text.WriteString("| | median, µs | 99th percentile, µs | added to direct: median | 99th percentile |\n| --- | ---: | ---: | ---: | ---: |\n")
	for _, took := range times {
		slices.Sort(took)
	}
	direct := times[0] // the first peer has no program
	for i, r := range f.runners {
		half, most := quantile(times[i], 50), quantile(times[i], 99)
		fmt.Fprintf(&text, "| %s | %d | %d |", r.name, half.Microseconds(), most.Microseconds())
		if i == 0 {
			text.WriteString(" | |\n")
			continue
		}
		fmt.Fprintf(&text, " %d | %d |\n", (half - quantile(direct, 50)).Microseconds(), (most - quantile(direct, 99)).Microseconds())
	}
	fmt.Print(text.String())
	return text.String()
}

// quantile returns the value below which percent of the sorted values lie.
func quantile(sorted []time.Duration, percent int) time.Duration {
	return sorted[len(sorted)*percent/100]
}

// A client sends messages on one connection.
type client struct {
	*textproto.Conn
	conn net.Conn
}

// dial connects to a peer, from whichever address if from is "", and says EHLO.
func dial(ctx context.Context, from, addr string) (*client, error) {
	dialer := net.Dialer{Timeout: 10 * time.Second}
	if from != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if err := hello(conn); err != nil {
		conn.Close()
		return nil, err
	}
	return &client{Conn: textproto.NewConn(conn), conn: conn}, nil
}

// sendBlock sends some messages and returns how long each of them took.
func (c *client) sendBlock() ([]time.Duration, error) {
	c.conn.SetDeadline(time.Now().Add(runTimeout))
	took := make([]time.Duration, latencyBlock)
	for i := range took {
		began := time.Now()
		for _, step := range dialogue {
			if _, err := c.conn.Write(step.say); err != nil {
				return nil, err
			}
			if _, _, err := c.ReadResponse(step.want); err != nil {
				return nil, err
			}
		}
		took[i] = time.Since(began)
	}
	return took, nil
}

// A step is a command, or a text, and the code of the reply to it.
type step struct {
	say  []byte
	want int
}

// dialogue is what passes for one message.
var dialogue = []step{
	{[]byte("MAIL FROM:<a@client.test.example>\r\n"), 250},
	{[]byte("RCPT TO:<b@test.example>\r\n"), 250},
	{[]byte("DATA\r\n"), 354},
	{[]byte("Subject: a test\r\n\r\n" + strings.Repeat(strings.Repeat("x", 62)+"\r\n", latencyOctets/64) + ".\r\n"), 250},
}
