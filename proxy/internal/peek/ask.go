//go:build unix

package peek

import (
	"errors"
	"syscall"
)

// ErrAhead says that something has arrived before it was asked for.
var ErrAhead = errors.New("octets that nobody asked for")

// errUnsent is why a read does not wait: the system did not take the whole
// question.
var errUnsent = errors.New("not sent")

// MayAsk reports whether questions can be asked.
func (c *Conn) MayAsk() bool { return c.socket }

// Ask has the next read send b before it waits, so that it need not look for an
// answer that cannot be there yet; until then b must stay as it is. If something
// has arrived before b is sent, the read fails with ErrAhead, and b is not.
func (c *Conn) Ask(b []byte) { c.unsent = b }

// tryAsk sends the question. It reports whether there is no answer to wait for.
func (c *Conn) tryAsk(fd uintptr) bool {
	c.n = 0
	switch c.tryLook(fd); {
	case c.seen > 0:
		c.err = ErrAhead
		return true
	case c.seen < 0:
		c.err = nil // the end of what there is to read
		return true
	}
	n, _ := send(fd, c.unsent) // what is wrong, the next write tells
	if c.unsent = c.unsent[n:]; len(c.unsent) > 0 {
		c.err = errUnsent
		return true
	}
	c.err = syscall.EAGAIN // an answer comes after this, and wakes up who waits
	return false
}

// sendRest sends what the system did not take of the question.
func (c *Conn) sendRest() error {
	rest := c.unsent
	c.unsent = nil
	_, err := c.writeSlowly(rest)
	return err
}
