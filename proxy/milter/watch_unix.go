//go:build unix

package milter

import (
	"sync"
	"syscall"
	"time"
)

// watchAfter is how long an answer may take before somebody looks whether the
// MTA still waits for it.
const watchAfter = time.Second

// watch ends what is done for an event when the MTA hangs up meanwhile: nobody
// reads from it while it waits for an answer. The function that it returns ends
// the watch.
func (g *guard) watch() (stop func()) {
	conn, ok := g.Conn.(syscall.Conn)
	if !ok || g.in.Buffered() > 0 { // it goes on without the answer
		return func() {}
	}
	var (
		mu      sync.Mutex
		stopped bool
		ended   = make(chan struct{})
	)
	timer := time.AfterFunc(watchAfter, func() {
		defer close(ended)
		mu.Lock()
		if stopped {
			mu.Unlock()
			return
		}
		g.Conn.SetReadDeadline(time.Time{})
		mu.Unlock()
		if hungUp(conn) {
			g.cut("mta_lost")
		}
	})
	return func() {
		if timer.Stop() {
			return
		}
		mu.Lock()
		stopped = true
		g.Conn.SetReadDeadline(time.Unix(1, 0)) // until the next read sets its own
		mu.Unlock()
		<-ended
	}
}

// hungUp waits until there is something to read, or the deadline is over, and
// reports whether it is the end.
func hungUp(conn syscall.Conn) (end bool) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return false
	}
	var buf [1]byte
	raw.Read(func(fd uintptr) bool {
		n, _, err := syscall.Recvfrom(int(fd), buf[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		if err == syscall.EAGAIN || err == syscall.EINTR {
			return false
		}
		end = n <= 0
		return true
	})
	return end
}
