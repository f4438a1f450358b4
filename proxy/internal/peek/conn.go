//go:build unix

// Package peek is what the standard library does not let a connection do: to be
// looked at, to be waited for without a buffer, and to have deadlines that cost
// nothing while they are kept.
package peek

import (
	"io"
	"net"
	"os"
	"syscall"
)

// Conn is a socket. A connection that is none, such as a pipe, does what it can by
// itself, and only one with a SyscallConn can be looked at.
//
// It is for one goroutine at a time, but for deadlines and Close, which are for
// any.
type Conn struct {
	net.Conn
	raw    syscall.RawConn // nil if it cannot be looked at
	socket bool
	deadlines

	buf    []byte // of the call under way
	lender Lender // of a read, nil for one into buf
	unsent []byte // what a read sends before it waits
	n      int    // what came of the call
	err    error

	receive func(fd uintptr) bool // kept, so that calls do not allocate
	post    func(fd uintptr)
	look    func(fd uintptr)

	sample [64]byte
	seen   int // octets of it, below 0 for an end
}

// New returns conn with more to it.
func New(conn net.Conn) *Conn {
	c := &Conn{Conn: conn}
	own, ok := conn.(syscall.Conn)
	if !ok {
		return c
	}
	raw, err := own.SyscallConn()
	if err != nil {
		return c
	}
	c.raw, c.look = raw, c.tryLook
	switch conn.(type) {
	case *net.TCPConn, *net.UnixConn:
		c.socket, c.receive, c.post = true, c.tryReceive, c.tryWrite
	}
	return c
}

// CloseWrite ends what is sent, where a connection can be closed by halves.
func (c *Conn) CloseWrite() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok {
		return syscall.EOPNOTSUPP
	}
	return half.CloseWrite()
}

// Read implements net.Conn.
func (c *Conn) Read(b []byte) (int, error) {
	if !c.socket || len(b) == 0 {
		return c.Conn.Read(b)
	}
	c.buf = b
	return c.await()
}

// Lender lends a buffer to read into.
type Lender interface {
	Lend() []byte
	TakeBack()
}

// ReadSparing is a Read that holds no buffer while it waits: it asks for one when
// there may be something to read, and gives it back if there is nothing.
func (c *Conn) ReadSparing(l Lender) (int, error) {
	if !c.socket {
		return c.Conn.Read(l.Lend())
	}
	c.lender = l
	return c.await()
}

// await reads until something has come of it.
func (c *Conn) await() (int, error) {
	for {
		err := c.raw.Read(c.receive)
		switch {
		case err == nil && c.err == errUnsent:
			if err = c.sendRest(); err != nil {
				return c.received(err)
			}
		case err == nil || !c.tooEarly(err):
			return c.received(err)
		}
	}
}

// received returns what has come of a read, which could not be tried for err.
func (c *Conn) received(err error) (int, error) {
	c.buf, c.lender, c.unsent = nil, nil, nil
	switch {
	case err != nil:
		return 0, err
	case c.err == ErrAhead:
		return 0, ErrAhead
	case c.err != nil:
		return 0, os.NewSyscallError("read", c.err)
	case c.n == 0:
		return 0, io.EOF
	}
	return c.n, nil
}

// tryReceive reads what is there. It reports whether the wait is over.
func (c *Conn) tryReceive(fd uintptr) bool {
	if len(c.unsent) > 0 {
		return c.tryAsk(fd)
	}
	if c.lender != nil {
		c.buf = c.lender.Lend()
	}
	c.n, c.err = recv(fd, c.buf, 0)
	if c.lender != nil && c.n == 0 {
		c.lender.TakeBack()
	}
	return c.err != syscall.EAGAIN
}

// Write implements net.Conn. Mostly all goes out at once, which needs no timer.
func (c *Conn) Write(b []byte) (int, error) {
	if !c.socket {
		return c.writeSlowly(b)
	}
	c.buf, c.n = b, 0
	err := c.raw.Control(c.post)
	c.buf = nil
	if err != nil || c.n == len(b) {
		return c.n, err
	}
	sent := c.n
	n, err := c.writeSlowly(b[sent:])
	return sent + n, err
}

// writeSlowly writes what the system does not take at once.
func (c *Conn) writeSlowly(b []byte) (int, error) {
	c.beginWrite()
	defer c.endWrite()
	return c.Conn.Write(b)
}

// WriteBuffers sends several slices in one system call, and takes from them what
// was sent.
func (c *Conn) WriteBuffers(b *net.Buffers) error {
	c.beginWrite()
	defer c.endWrite()
	_, err := b.WriteTo(c.Conn)
	return err
}

// tryWrite writes what the system takes. What is wrong, if anything is, the write
// of the rest tells.
func (c *Conn) tryWrite(fd uintptr) {
	c.n, _ = send(fd, c.buf)
}

// Look returns whether there is something to read, and whether the other side
// has closed or the connection is broken. It neither waits nor takes anything.
func (c *Conn) Look() (something, closed bool) {
	if c.raw == nil {
		return false, false
	}
	if c.raw.Control(c.look) != nil {
		return false, true
	}
	return c.seen > 0, c.seen < 0
}

// Seen returns the first octets of what the last look has found.
func (c *Conn) Seen() []byte { return c.sample[:max(c.seen, 0)] }

func (c *Conn) tryLook(fd uintptr) {
	n, err := recv(fd, c.sample[:], syscall.MSG_PEEK)
	switch {
	case err == syscall.EAGAIN:
		c.seen = 0
	case n == 0:
		c.seen = -1
	default:
		c.seen = n
	}
}
