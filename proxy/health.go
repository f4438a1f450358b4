package proxy

import (
	"fmt"
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

// loop is a listener that tells whether somebody accepts its connections.
type loop struct {
	net.Listener
	busy  atomic.Int64 // since when the last one is being taken care of, in Unix nanoseconds; 0 while the next is awaited
	ended atomic.Bool
}

// Accept waits for the next connection.
func (l *loop) Accept() (net.Conn, error) {
	l.busy.Store(0)
	conn, err := l.Listener.Accept()
	l.busy.Store(time.Now().UnixNano())
	return conn, err
}

// SyscallConn returns the socket itself.
func (l *loop) SyscallConn() (syscall.RawConn, error) {
	socket, ok := l.Listener.(syscall.Conn)
	if !ok {
		return nil, syscall.EOPNOTSUPP
	}
	return socket.SyscallConn()
}

// stuck tells what is wrong with the loop, if a connection has been waiting for
// that long, or nobody will ever accept one.
func (l *loop) stuck(patience time.Duration) error {
	if l.ended.Load() {
		return fmt.Errorf("nobody accepts connections any more")
	}
	if since := l.busy.Load(); since != 0 {
		if wait := time.Since(time.Unix(0, since)); wait > patience {
			return fmt.Errorf("no connection has been accepted for %s", wait.Round(time.Millisecond))
		}
	}
	return nil
}

// Healthy tells what is wrong with a server that should be accepting clients: a
// listener that has not taken the next one for that long. It waits for ever if
// the server does.
func (s *Server) Healthy(patience time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return nil
	}
	for _, d := range s.doors {
		if d.loop == nil {
			continue
		}
		if err := d.loop.stuck(patience); err != nil {
			return fmt.Errorf("listener %s: %w", d.config.Name, err)
		}
	}
	return nil
}

// Sessions returns how many clients, and connections of MTAs, are being served.
func (s *Server) Sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, d := range s.doors {
		n += d.front.Sessions()
	}
	return n
}
