//go:build unix

package peek

import (
	"io"
	"net"
	"os"
	"syscall"
)

// Lender lends a buffer to read into.
type Lender interface {
	Lend() []byte
	TakeBack()
}

// Spare reads a connection without holding a buffer while it waits.
type Spare struct {
	raw  syscall.RawConn
	fn   func(fd uintptr) bool // kept, so that a read does not allocate
	from Lender                // during a read
	n    int
	err  error
}

// NewSpare returns a reader of a TCP connection, and nil for any other.
func NewSpare(conn net.Conn) *Spare {
	c, ok := conn.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nil
	}
	s := &Spare{raw: raw}
	s.fn = s.try
	return s
}

// ReadSparing is the connection's Read, with its deadline: it asks for a buffer when
// there may be something to read, and gives it back if there is nothing.
func (s *Spare) ReadSparing(l Lender) (int, error) {
	s.from = l
	err := s.raw.Read(s.fn)
	s.from = nil
	switch {
	case err != nil:
		return 0, err
	case s.err != nil:
		return 0, os.NewSyscallError("read", s.err)
	case s.n == 0:
		return 0, io.EOF
	}
	return s.n, nil
}

// try reads what is there. It reports whether the wait is over.
func (s *Spare) try(fd uintptr) bool {
	for {
		s.n, _, s.err = syscall.Recvfrom(int(fd), s.from.Lend(), syscall.MSG_DONTWAIT) // the descriptor may be in blocking mode
		if s.err != syscall.EINTR {
			break
		}
	}
	if s.err == nil && s.n > 0 {
		return true
	}
	s.n = max(s.n, 0)
	s.from.TakeBack()
	return s.err != syscall.EAGAIN
}
