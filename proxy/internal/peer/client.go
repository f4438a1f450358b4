package peer

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// A Client writes to an SMTP server what no well-behaved client would.
type Client struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
}

// Dial connects to addr, host:port or the path of a Unix socket, and reads the greeting. Each read and write fails the
// test after a minute.
func Dial(t testing.TB, addr string) *Client {
	t.Helper()
	c := DialFrom(t, "", addr)
	c.Expect("220")
	return c
}

// DialFrom connects to addr from the address source, whichever if it is "",
// and leaves the greeting to be read.
func DialFrom(t testing.TB, source, addr string) *Client {
	t.Helper()
	return (*Netns)(nil).DialFrom(t, source, addr)
}

// Dial is Dial in the namespace.
func (n *Netns) Dial(t testing.TB, addr string) *Client {
	t.Helper()
	c := n.DialFrom(t, "", addr)
	c.Expect("220")
	return c
}

// DialFrom is DialFrom in the namespace.
func (n *Netns) DialFrom(t testing.TB, source, addr string) *Client {
	t.Helper()
	dialer := net.Dialer{Timeout: 10 * time.Second}
	if source != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(source)}
	}
	c := &Client{t: t}
	err := n.Do(func() (err error) {
		c.conn, err = dialer.Dial(network(addr), addr)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	c.in = bufio.NewReader(c.conn)
	t.Cleanup(c.Close)
	return c
}

// network is that of an address: host:port, or the path of a Unix socket.
func network(addr string) string {
	if strings.HasPrefix(addr, "/") {
		return "unix"
	}
	return "tcp"
}

// StartTLS goes over to TLS, with any certificate.
func (c *Client) StartTLS() {
	c.t.Helper()
	c.StartTLSWith(&tls.Config{InsecureSkipVerify: true})
}

// StartTLSWith goes over to TLS, which must succeed.
func (c *Client) StartTLSWith(config *tls.Config) tls.ConnectionState {
	c.t.Helper()
	c.Do("220", "STARTTLS")
	return c.Secure(config)
}

// Secure shakes hands at once, as with a server whose TLS is implicit. It must
// succeed.
func (c *Client) Secure(config *tls.Config) tls.ConnectionState {
	c.t.Helper()
	state, err := c.TrySecure(config)
	if err != nil {
		c.t.Fatal(err)
	}
	return state
}

// TrySecure shakes hands at once.
func (c *Client) TrySecure(config *tls.Config) (tls.ConnectionState, error) {
	conn := tls.Client(c.conn, config)
	conn.SetDeadline(time.Now().Add(time.Minute))
	if err := conn.Handshake(); err != nil {
		return tls.ConnectionState{}, err
	}
	c.conn, c.in = conn, bufio.NewReader(conn)
	return conn.ConnectionState(), nil
}

// Addr returns the client's own address.
func (c *Client) Addr() string { return c.conn.LocalAddr().String() }

// Hello greets and returns the server's keywords.
func (c *Client) Hello() string {
	c.t.Helper()
	return c.Do("250", "EHLO client.test.example")
}

// Do sends a command and returns the reply, which must begin with code.
func (c *Client) Do(code, command string) string {
	c.t.Helper()
	c.Write(command + "\r\n")
	return c.Expect(code)
}

// Write sends each of the chunks with a write of its own; as Go switches
// Nagle's algorithm off, each becomes a segment.
func (c *Client) Write(chunks ...string) {
	c.t.Helper()
	c.conn.SetWriteDeadline(time.Now().Add(time.Minute))
	for _, chunk := range chunks {
		if _, err := c.conn.Write([]byte(chunk)); err != nil {
			c.t.Fatalf("write to %s: %v", c.conn.RemoteAddr(), err)
		}
	}
}

// Expect reads a reply that must begin with code.
func (c *Client) Expect(code string) string {
	c.t.Helper()
	reply, err := c.Reply()
	if err != nil {
		c.t.Fatalf("want a reply %s, got %q, %v", code, reply, err)
	}
	if !strings.HasPrefix(reply, code) {
		c.t.Fatalf("want a reply %s, got %q", code, reply)
	}
	return reply
}

// Reply reads a reply of one or more lines.
func (c *Client) Reply() (string, error) {
	c.conn.SetReadDeadline(time.Now().Add(time.Minute))
	var reply strings.Builder
	for {
		line, err := c.in.ReadString('\n')
		reply.WriteString(line)
		if err != nil {
			return reply.String(), err
		}
		if len(line) < 5 || !strings.HasSuffix(line, "\r\n") {
			return reply.String(), fmt.Errorf("not a reply: %q", line)
		}
		if line[3] != '-' {
			return reply.String(), nil
		}
	}
}

// Quit ends the session.
func (c *Client) Quit() {
	c.t.Helper()
	c.Do("221", "QUIT")
	c.Close()
}

// Close closes the connection.
func (c *Client) Close() { c.conn.Close() }
