//go:build unix

package peek

import (
	"errors"
	"os"
	"sync"
	"time"
)

// deadlines are those of a connection, whose timers are set as seldom as can be:
// that of reads when it goes off too early, or is to go off earlier than it
// would; that of writes when a write has to wait.
type deadlines struct {
	mu      sync.Mutex
	read    time.Time // zero for none, as the others
	timer   time.Time // when reads are woken up
	write   time.Time
	timeout time.Duration // of each write, 0 for none
	writing bool          // a write waits
}

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error {
	if !c.socket {
		return c.Conn.SetReadDeadline(t)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read = t
	if t.IsZero() || !c.timer.IsZero() && !t.Before(c.timer) {
		return nil
	}
	c.timer = t
	return c.Conn.SetReadDeadline(t)
}

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.write = t
	return c.rewind()
}

// SetWriteTimeout bounds each write by itself, the one under way too.
func (c *Conn) SetWriteTimeout(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timeout = d
	c.rewind()
}

// rewind sets the timer of a write that waits.
func (c *Conn) rewind() error {
	if !c.writing {
		return nil
	}
	end := c.write
	if t := time.Now().Add(c.timeout); c.timeout > 0 && (end.IsZero() || t.Before(end)) {
		end = t
	}
	return c.Conn.SetWriteDeadline(end)
}

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// tooEarly reports whether a read that failed with err was woken up before its
// deadline. The timer is right then.
func (c *Conn) tooEarly(err error) bool {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.read.IsZero() && !time.Now().Before(c.read) {
		return false
	}
	c.timer = c.read
	return c.Conn.SetReadDeadline(c.timer) == nil
}

// beginWrite is called before a write that may wait, and endWrite after it.
func (c *Conn) beginWrite() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writing = true
	c.rewind()
}

func (c *Conn) endWrite() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writing = false
	c.Conn.SetWriteDeadline(time.Time{})
}
