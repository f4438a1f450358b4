package trial

import (
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

// wire is a connection between an imagined client and its server. No time passes
// on it: when the server listens while the client waits for the server, nothing
// can come any more, and the server's deadline is reached at once.
type wire struct {
	remote, local net.Addr

	mu       sync.Mutex
	changed  *sync.Cond
	up, down []byte // on the way to the server, and to the client
	waits    bool   // the client, for the server
	gone     bool   // the client
	deadline bool   // of the server's reads: there is one
	passed   bool   // it lies in the past
	over     chan struct{}
	once     sync.Once
}

func newWire(client, local netip.AddrPort) *wire {
	w := &wire{remote: tcpAddr(client), local: tcpAddr(local), over: make(chan struct{})}
	w.changed = sync.NewCond(&w.mu)
	return w
}

// tcpAddr returns an address as sockets give it; that of none is not known.
func tcpAddr(a netip.AddrPort) net.Addr {
	if !a.IsValid() {
		return unknown{}
	}
	return net.TCPAddrFromAddrPort(a)
}

type unknown struct{}

func (unknown) Network() string { return "tcp" }
func (unknown) String() string  { return "unknown" }

func (w *wire) server() *serverEnd { return &serverEnd{w} }
func (w *wire) client() *clientEnd { return &clientEnd{w} }

func (w *wire) isOver() bool {
	select {
	case <-w.over:
		return true
	default:
		return false
	}
}

// clientEnd is where the client reads and writes.
type clientEnd struct{ *wire }

// Read implements io.Reader.
func (c *clientEnd) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.down) == 0 && !c.isOver() {
		c.waits = true
		c.changed.Broadcast()
		c.changed.Wait()
	}
	c.waits = false
	if len(c.down) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.down)
	c.down = c.down[n:]
	return n, nil
}

// Write implements io.Writer.
func (c *clientEnd) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isOver() {
		return 0, net.ErrClosed
	}
	c.up = append(c.up, p...)
	c.changed.Broadcast()
	return len(p), nil
}

// Close ends what the client says.
func (c *clientEnd) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone = true
	c.changed.Broadcast()
	return nil
}

// serverEnd is the connection as the server has it.
type serverEnd struct{ *wire }

var _ endConn = (*serverEnd)(nil)

// Read implements net.Conn.
func (s *serverEnd) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		stuck := s.waits && len(s.down) == 0
		switch {
		case s.isOver():
			return 0, net.ErrClosed
		case s.passed:
			return 0, os.ErrDeadlineExceeded
		case len(s.up) > 0:
			n := copy(p, s.up)
			s.up = s.up[n:]
			return n, nil
		case s.gone:
			return 0, io.EOF
		case stuck && s.deadline:
			return 0, os.ErrDeadlineExceeded
		}
		s.changed.Wait()
	}
}

// Write implements net.Conn.
func (s *serverEnd) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isOver() {
		return 0, net.ErrClosed
	}
	s.down = append(s.down, p...)
	s.changed.Broadcast()
	return len(p), nil
}

// Close implements net.Conn.
func (s *serverEnd) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.once.Do(func() { close(s.over) })
	s.changed.Broadcast()
	return nil
}

// SetReadDeadline implements net.Conn.
func (s *serverEnd) SetReadDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deadline, s.passed = !t.IsZero(), !t.IsZero() && !t.After(time.Now())
	s.changed.Broadcast()
	return nil
}

// SetWriteDeadline implements net.Conn: no write waits.
func (s *serverEnd) SetWriteDeadline(time.Time) error { return nil }

// SetDeadline implements net.Conn.
func (s *serverEnd) SetDeadline(t time.Time) error { return s.SetReadDeadline(t) }

// LocalAddr implements net.Conn.
func (s *serverEnd) LocalAddr() net.Addr { return s.local }

// RemoteAddr implements net.Conn.
func (s *serverEnd) RemoteAddr() net.Addr { return s.remote }

func (s *serverEnd) ended() <-chan struct{} { return s.over }
