package trial

import (
	"bytes"
	"io"
	"net"
	"sync"
	"time"

	"github.com/mailweir/mailweir/proxy/relay"
)

// Talk lets somebody talk to a relay of these options, as the client of the
// session, until one of both ends it. The MTA behind the relay takes everything.
// Of the session only the addresses count.
//
// Lines of in may end in LF; those of out do. Talk does not wait for a Read of
// in that is under way at the end.
func Talk(o relay.Options, s *Session, in io.Reader, out io.Writer) error {
	ours, theirs := net.Pipe()
	conn := &typed{Conn: theirs, out: out, remote: tcpAddr(s.Client), local: tcpAddr(s.Local), over: make(chan struct{})}
	end, err := serveOne(o, conn)
	if err != nil {
		return err
	}
	go func() {
		defer ours.Close()
		typeInto(ours, in)
	}()
	end()
	return conn.err
}

// typeInto passes on what somebody types, until either side has enough.
func typeInto(w io.Writer, in io.Reader) {
	buf := make([]byte, 4<<10)
	var last byte
	var line []byte
	for {
		n, err := in.Read(buf)
		if n > 0 {
			line, last = appendCRLF(line[:0], buf[:n], last)
			if _, err := w.Write(line); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// typed is a connection whose client types what it says, and reads the answers
// on a screen.
type typed struct {
	net.Conn // what is typed
	out      io.Writer
	err      error // of out
	remote   net.Addr
	local    net.Addr
	over     chan struct{}
	once     sync.Once
}

// Write shows what the server says.
func (t *typed) Write(p []byte) (int, error) {
	if _, err := t.out.Write(bytes.ReplaceAll(p, []byte("\r\n"), []byte("\n"))); err != nil {
		t.err = err
		return 0, err
	}
	return len(p), nil
}

// Close implements net.Conn.
func (t *typed) Close() error {
	t.once.Do(func() { close(t.over) })
	return t.Conn.Close()
}

// SetWriteDeadline implements net.Conn: the screen takes what it is given.
func (t *typed) SetWriteDeadline(time.Time) error { return nil }

// LocalAddr implements net.Conn.
func (t *typed) LocalAddr() net.Addr { return t.local }

// RemoteAddr implements net.Conn.
func (t *typed) RemoteAddr() net.Addr { return t.remote }

func (t *typed) ended() <-chan struct{} { return t.over }
