//go:build unix

package peek

import "os"

// Layer is a connection for a layer above, such as TLS, which may hold back or
// swallow what has arrived: whether there is something for its user only a read
// through it can tell.
type Layer struct {
	*Conn
	poll bool
}

// Layer returns the connection for a layer above.
func (c *Conn) Layer() *Layer { return &Layer{Conn: c} }

// Poll makes reads fail with os.ErrDeadlineExceeded where they would have to
// wait, until it is called with false.
func (l *Layer) Poll(on bool) { l.poll = on }

// Read implements net.Conn.
func (l *Layer) Read(b []byte) (int, error) {
	if l.poll {
		if something, closed := l.Look(); !something && !closed {
			return 0, os.ErrDeadlineExceeded
		}
	}
	return l.Conn.Read(b)
}
