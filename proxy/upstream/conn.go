package upstream

import (
	"errors"
	"net"
	"os"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/internal/peek"
	"github.com/mailweir/mailweir/proxy/smtp"
)

// Conn is one connection to a server. It belongs to one session at a time, and
// is not safe for concurrent use.
type Conn struct {
	conn    net.Conn
	socket  *peek.Conn  // conn, or what is below its TLS
	layer   *peek.Layer // nil without TLS
	replies *smtp.ReplyReader
	out     []byte // commands not sent yet
	vec     [2][]byte
	asked   bool // what is queued goes out with the wait for its reply

	server  string // its address, for the log
	host    string // its name, which its certificate is for; "" for the host of its address
	lmtp    bool
	plain   bool     // without TLS: opportunistic TLS has failed with this server
	greeted bool     // it has answered an EHLO or LHLO of ours with 250
	forward []string // attributes that it takes with XFORWARD
	names   clientNames
	witness *Report // that the beginning is told to, nil for none
	release func()  // gives its place back
	use
}

// What can be wrong with a connection.
var (
	ErrStray     = errors.New("octets that nobody asked for")
	ErrOutOfStep = errors.New("a reply that has no place here")
	ErrBusy      = errors.New("all connections are in use: see max_connections")
)

// newConn returns a connection that release is called for when it has ended.
func newConn(conn net.Conn, server string, release func()) *Conn {
	socket := peek.New(conn)
	return &Conn{conn: socket, socket: socket, replies: smtp.NewReplyReader(socket), server: server, release: release}
}

// Server returns the address of the server, for the log.
func (c *Conn) Server() string { return c.server }

// LMTP reports whether it speaks LMTP: LHLO instead of HELO and EHLO, and a
// reply to the text for each recipient that it has accepted.
func (c *Conn) LMTP() bool { return c.lmtp }

// Close ends the connection as it is: whatever was not ended by a dot is void.
func (c *Conn) Close() {
	if c.layer != nil {
		c.layer.Close() // TLS would say farewell first, and may have to wait for that
	} else {
		c.conn.Close()
	}
	c.release()
}

// quitPatience bounds the farewell when no client waits for it.
const quitPatience = 5 * time.Second

// Quit ends the connection properly. Nothing may be under way on it.
func (c *Conn) Quit() {
	c.out = append(c.out[:0], "QUIT\r\n"...)
	if c.Flush(quitPatience) == nil {
		c.Reply(quitPatience)
	}
	c.conn.Close()
	c.release()
}

// Command queues a command.
func (c *Conn) Command(verb string, args []byte) {
	c.out = append(c.out, verb...)
	if len(args) > 0 {
		c.out = append(c.out, ' ')
		c.out = append(c.out, args...)
	}
	c.out = append(c.out, '\r', '\n')
}

// Line queues a line that is no command of its own.
func (c *Conn) Line(line []byte) { c.out = append(append(c.out, line...), '\r', '\n') }

// Path queues MAIL or RCPT, in the one way there is to read it.
func (c *Conn) Path(command string, p *filters.Path) {
	c.out = append(c.out, command...)
	c.out = append(c.out, p.Raw...)
	if p.Params != "" {
		c.out = append(c.out, ' ')
		c.out = append(c.out, p.Params...)
	}
	c.out = append(c.out, '\r', '\n')
}

// Queued returns how many octets are queued.
func (c *Conn) Queued() int { return len(c.out) }

// Ready looks whether the server waits for us, as it should between replies and
// commands. It fails with ErrStray, or when the connection is lost.
func (c *Conn) Ready() error {
	if c.replies.Buffered() > 0 {
		return ErrStray
	}
	look := c.socket.Look
	if c.layer != nil {
		look = c.poll // TLS may have taken more than was read
	}
	something, closed := look()
	switch {
	case something:
		return ErrStray
	case closed:
		return net.ErrClosed
	}
	return nil
}

// poll looks below TLS: what has arrived may be for TLS alone, such as session
// tickets (RFC 8446 section 4.6.1).
func (c *Conn) poll() (something, closed bool) {
	c.mayAnswer(pollPatience)
	c.socket.SetReadDeadline(time.Time{}) // that of the last reply may have passed
	c.layer.Poll(true)
	err := c.replies.Fill()
	c.layer.Poll(false)
	c.replies.Release()
	return err == nil, err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
}

// pollPatience bounds what poll may have to write.
const pollPatience = time.Second

// mayAnswer bounds what a read may have to write: TLS answers to some of what
// arrives (RFC 8446 section 4.6.3), whatever the last write's deadline was.
func (c *Conn) mayAnswer(patience time.Duration) {
	if c.layer != nil {
		c.socket.SetWriteTimeout(patience)
	}
}

// Flush sends what is queued.
func (c *Conn) Flush(patience time.Duration) error {
	if len(c.out) == 0 {
		return nil
	}
	err := c.Write(c.out, patience)
	c.sent()
	return err
}

// Send is Ready and Flush in one, for what a Reply is waited for next. That, too,
// may be what fails then, in the same ways.
func (c *Conn) Send(patience time.Duration) error {
	switch {
	case len(c.out) == 0:
		return nil
	case c.replies.Buffered() > 0:
		return ErrStray
	case c.layer == nil && c.socket.MayAsk():
		c.socket.SetWriteTimeout(patience)
		c.socket.Ask(c.out)
		c.asked = true
		return nil
	}
	if err := c.Ready(); err != nil {
		return err
	}
	return c.Flush(patience)
}

// sent forgets what was queued.
func (c *Conn) sent() {
	c.asked = false
	if c.out = c.out[:0]; cap(c.out) > keptBuffer {
		c.out = nil
	}
}

// keptBuffer is the greatest buffer that an idle connection keeps, in octets.
const keptBuffer = 1 << 10

// Write sends octets at once.
func (c *Conn) Write(b []byte, patience time.Duration) error {
	c.socket.SetWriteTimeout(patience)
	_, err := c.conn.Write(b)
	return err
}

// WriteBoth sends two slices in one system call: a command and the octets that
// belong to it must not wait for each other.
func (c *Conn) WriteBoth(a, b []byte, patience time.Duration) error {
	c.socket.SetWriteTimeout(patience)
	c.vec = [2][]byte{a, b}
	both := net.Buffers(c.vec[:])
	var err error
	if c.layer == nil {
		err = c.socket.WriteBuffers(&both)
	} else {
		_, err = both.WriteTo(c.conn)
	}
	c.vec = [2][]byte{}
	return err
}

// Reply waits for one reply. Its Wire is valid until the next read or Release.
func (c *Conn) Reply(patience time.Duration) (smtp.ServerReply, error) {
	c.mayAnswer(patience)
	c.conn.SetReadDeadline(time.Now().Add(patience))
	r, err := c.replies.ReadReply()
	if c.asked {
		c.sent()
	}
	if err == peek.ErrAhead {
		err = ErrStray
	}
	if r.Class() >= 4 {
		c.errors++
	}
	return r, err
}

// Buffered returns the number of octets that were read and not used.
func (c *Conn) Buffered() int { return c.replies.Buffered() }

// Release gives the buffer of replies back, if nothing is in it.
func (c *Conn) Release() { c.replies.Release() }
