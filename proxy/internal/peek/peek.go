//go:build unix

// Package peek looks at what has arrived on a connection without taking it.
package peek

import (
	"net"
	"os"
	"syscall"
)

// sample is how much of it is shown, in octets.
const sample = 64

// Peeker looks whether something has arrived on a connection, without waiting
// for it and without taking it.
type Peeker struct {
	raw syscall.RawConn
	fn  func(fd uintptr) bool // kept, so that a look does not allocate
	n   int
	err error
	buf [sample]byte
}

// New returns a peeker of a connection, which sees nothing unless the
// connection is one of the system's own.
func New(conn net.Conn) *Peeker {
	p := &Peeker{}
	if c, ok := conn.(syscall.Conn); ok {
		p.raw, _ = c.SyscallConn()
	}
	p.fn = func(fd uintptr) bool {
		p.n, _, p.err = syscall.Recvfrom(int(fd), p.buf[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		return true
	}
	return p
}

// Seen returns the first octets of what the last look has found.
func (p *Peeker) Seen() []byte { return p.buf[:max(p.n, 0)] }

// Look returns whether there is something to read, and whether the other side
// has closed or the connection is broken. The read deadline must lie ahead.
func (p *Peeker) Look() (something, closed bool) {
	if p.raw == nil {
		return false, false
	}
	if err := p.raw.Read(p.fn); err != nil {
		return false, true
	}
	switch p.err {
	case nil:
		return p.n > 0, p.n == 0
	case syscall.EAGAIN, syscall.EINTR:
		return false, false
	}
	return false, true
}

// Layer is a connection for a layer above, such as TLS, which may hold back or
// swallow what has arrived: whether there is something for its user only a read
// through it can tell.
type Layer struct {
	net.Conn
	peek *Peeker
	poll bool
}

// Layer returns conn, of which p is the peeker, for a layer above.
func (p *Peeker) Layer(conn net.Conn) *Layer { return &Layer{Conn: conn, peek: p} }

// Poll makes reads fail with os.ErrDeadlineExceeded where they would have to
// wait, until it is called with false.
func (l *Layer) Poll(on bool) { l.poll = on }

// Read implements net.Conn.
func (l *Layer) Read(b []byte) (int, error) {
	if l.poll {
		if something, closed := l.peek.Look(); !something && !closed {
			return 0, os.ErrDeadlineExceeded
		}
	}
	return l.Conn.Read(b)
}
