package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"time"
)

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

// send sends a message, step by step, and returns how long each step took.
func (c *client) send() ([]time.Duration, error) {
	took := make([]time.Duration, len(dialogue))
	for i, step := range dialogue {
		began := time.Now()
		if err := c.say(step.say, step.want); err != nil {
			return nil, err
		}
		took[i] = time.Since(began)
	}
	return took, nil
}

// say says something and wants a reply with that code.
func (c *client) say(what []byte, want int) error {
	if _, err := c.conn.Write(what); err != nil {
		return err
	}
	_, _, err := c.ReadResponse(want)
	return err
}

// session sends one message on a connection of its own, from whichever address
// if from is "", and returns how long all that took.
func session(ctx context.Context, from, addr string) (time.Duration, error) {
	began := time.Now()
	c, err := dial(ctx, from, addr)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	c.conn.SetDeadline(time.Now().Add(runTimeout))
	for _, step := range dialogue[firstOfMessage:] {
		if err := c.say(step.say, step.want); err != nil {
			return 0, err
		}
	}
	err = c.say([]byte("QUIT\r\n"), 221)
	return time.Since(began), err
}

// greet opens so many sessions and closes them.
func (r *runner) greet(ctx context.Context, n int) error {
	for range n {
		c, err := dial(ctx, "", r.addr)
		if err != nil {
			return err
		}
		defer c.Close()
	}
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
