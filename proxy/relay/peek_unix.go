//go:build unix

package relay

import (
	"net"
	"syscall"
)

// peeker looks whether something has arrived on a connection, without waiting
// for it and without taking it.
type peeker struct {
	raw syscall.RawConn
	fn  func(fd uintptr) bool // kept, so that a look does not allocate
	n   int
	err error
	buf [maxSample]byte
}

func newPeeker(conn net.Conn) *peeker {
	p := &peeker{}
	if c, ok := conn.(syscall.Conn); ok {
		p.raw, _ = c.SyscallConn()
	}
	p.fn = func(fd uintptr) bool {
		p.n, _, p.err = syscall.Recvfrom(int(fd), p.buf[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		return true
	}
	return p
}

// seen returns the first octets of what the last look has found.
func (p *peeker) seen() []byte { return p.buf[:max(p.n, 0)] }

// look returns whether there is something to read, and whether the other side
// has closed or the connection is broken. The read deadline must lie ahead.
func (p *peeker) look() (something, closed bool) {
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
