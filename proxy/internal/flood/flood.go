// Package flood is clients that mean no good, in great numbers, one that does,
// and an upstream for the mail of that.
package flood

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A Crowd is clients that all do the same, each until it is turned away.
type Crowd struct {
	Name string // of the flood, as the report has it
	Does string // what a client does

	Addr    string
	Clients int
	Rounds  int // times that each of them connects, once if 0
	Network int // of their addresses 127.N.x.y, 50 clients each
	Rate    int // connections per second, which are made in turn then; 0 for all at once

	Begin []string // what is said in turn, each after the reply to the one before; "" awaits the greeting
	First string   // what is said then
	Again string   // and again and again; "" for nothing
	Pause time.Duration

	Silent int // one client of so many says nothing at all; 0 for none
}

// perAddress is how many clients of a crowd share an address: what
// sessions.max_per_client is by default.
const perAddress = 50

// Run has the crowd come. It returns when all of it has been turned away, with
// the number of connections made, and of those that could not be.
func (c *Crowd) Run(ctx context.Context) (made, failed int) {
	var all sync.WaitGroup
	var good, bad atomic.Int64
	begin := time.Now()
	for i := range c.Clients {
		if c.Rate > 0 {
			time.Sleep(time.Until(begin.Add(time.Duration(i) * time.Second / time.Duration(c.Rate))))
		}
		all.Go(func() {
			for range max(c.Rounds, 1) {
				if c.one(ctx, i) != nil {
					bad.Add(1)
					continue
				}
				good.Add(1)
			}
		})
	}
	all.Wait()
	return int(good.Load()), int(bad.Load())
}

// address is that of a client.
func (c *Crowd) address(i int) net.IP {
	n := i / perAddress
	if c.Rate > 0 {
		n = i % 250 // one network
	}
	return net.IPv4(127, byte(c.Network), byte(n/250), byte(1+n%250))
}

// one is one client's connection. It fails if it is not made.
func (c *Crowd) one(ctx context.Context, i int) error {
	dialer := net.Dialer{Timeout: 30 * time.Second, LocalAddr: &net.TCPAddr{IP: c.address(i)}}
	conn, err := dialer.DialContext(ctx, "tcp4", c.Addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	conn.(*net.TCPConn).SetWriteBuffer(64 << 10) // what mailweir does not read is not to keep the sender busy
	t := talk{conn: conn}
	begin := c.Begin
	if c.Silent > 0 && i%c.Silent == 0 {
		begin = nil
	}
	for _, line := range begin {
		if _, err := t.say(line); err != nil {
			return nil // it was turned away
		}
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		io.Copy(io.Discard, onlyReader{conn}) // or its replies would end it
	}()
	c.press(conn, gone)
	<-gone
	return nil
}

// onlyReader hides what would make a copy reserve pipes.
type onlyReader struct{ io.Reader }

// press says the rest.
func (c *Crowd) press(conn net.Conn, gone <-chan struct{}) {
	if _, err := io.WriteString(conn, c.First); err != nil || c.Again == "" {
		return
	}
	for {
		if c.Pause > 0 {
			select {
			case <-gone:
				return
			case <-time.After(c.Pause):
			}
		}
		if _, err := io.WriteString(conn, c.Again); err != nil {
			return
		}
	}
}

// talk is a dialogue in lock step.
type talk struct {
	conn net.Conn
	left []byte // read, and not of a reply yet
}

// say says a line, unless it is empty, and returns the last line of the reply.
func (t *talk) say(line string) (string, error) {
	if _, err := io.WriteString(t.conn, line); err != nil {
		return "", err
	}
	for {
		reply, err := t.line()
		if err != nil {
			return "", err
		}
		if len(reply) < 4 || reply[3] != '-' {
			if len(reply) == 0 || reply[0] != '2' && reply[0] != '3' {
				return reply, fmt.Errorf("to %.20q: %s", line, reply)
			}
			return reply, nil
		}
	}
}

// line reads a line without holding a buffer between two.
func (t *talk) line() (string, error) {
	var buf [512]byte
	for {
		for i, c := range t.left {
			if c == '\n' {
				line := string(t.left[:i])
				t.left = t.left[i+1:]
				if len(t.left) == 0 {
					t.left = nil
				}
				return line, nil
			}
		}
		n, err := t.conn.Read(buf[:])
		if n == 0 {
			return "", err
		}
		t.left = append(t.left, buf[:n]...)
	}
}
