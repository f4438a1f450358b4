package milter

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"
)

// guard stands between an MTA's connection and the library, which trusts its
// peer: a packet of length 0 or without the NUL it expects would end the whole
// process there, and a length of 512 MB would be believed. guard hands over
// whole packets that are in order; another one ends its connection, and leaves
// a record in the log.
type guard struct {
	net.Conn
	session  *session
	in       *bufio.Reader
	max      int
	timeouts Timeouts
	log      *slog.Logger
	quick    func() // acknowledge at once

	frame      []byte // the packet in hand, with its length
	rest       []byte // of it, not handed over yet
	negotiated bool

	mu     sync.Mutex
	reason string        // why the connection ends; "" while it does not
	ended  bool          // closed has been closed
	closed chan struct{} // when the library has closed the connection
}

func newGuard(conn net.Conn, max int, timeouts Timeouts, log *slog.Logger) *guard {
	return &guard{
		Conn:     conn,
		in:       bufio.NewReaderSize(conn, 4<<10),
		max:      max,
		timeouts: timeouts,
		log:      log,
		quick:    quickAck(conn),
		closed:   make(chan struct{}),
	}
}

// peerOf names the MTA's end of a connection.
func peerOf(conn net.Conn) string {
	if a := conn.RemoteAddr(); a != nil && a.String() != "" && a.String() != "@" {
		return a.String()
	}
	return conn.LocalAddr().String() // of a Unix socket, whose clients have no name
}

// Read hands over the next octets of a packet that has been checked.
func (g *guard) Read(p []byte) (int, error) {
	if len(g.rest) == 0 {
		if err := g.next(); err != nil {
			g.fail(err)
			return 0, io.EOF // the library need not log it again
		}
	}
	n := copy(p, g.rest)
	g.rest = g.rest[n:]
	return n, nil
}

// Write sends an answer.
func (g *guard) Write(p []byte) (int, error) {
	n, err := g.Conn.Write(p)
	if err != nil {
		g.fail(err)
		err = net.ErrClosed // the library need not log it again
	}
	return n, err
}

// SetReadDeadline does nothing: guard has time-outs of its own.
func (g *guard) SetReadDeadline(time.Time) error { return nil }

// keptFrame is the greatest buffer that is kept when no body passes, in octets.
const keptFrame = 4 << 10

// next reads and checks one packet.
func (g *guard) next() error {
	if cap(g.frame) > keptFrame && (len(g.frame) < 5 || g.frame[4] != 'B') {
		g.frame = nil
	}
	wait := g.timeouts.Idle
	if !g.negotiated {
		wait = g.timeouts.Packet
	}
	g.Conn.SetReadDeadline(time.Now().Add(wait))
	length, err := g.in.Peek(4)
	if err != nil {
		if len(length) > 0 && errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		return err
	}
	n := binary.BigEndian.Uint32(length)
	switch {
	case n == 0:
		return badPacket("its length is 0")
	case int64(n) > int64(g.max):
		return badPacket(fmt.Sprintf("its length is %d, more than max_packet", n))
	}
	g.frame = append(g.frame[:0], make([]byte, 4+n)...)
	g.Conn.SetReadDeadline(time.Now().Add(g.timeouts.Packet))
	if _, err := io.ReadFull(g.in, g.frame); err != nil {
		return err
	}
	g.quick()
	if wrong := fault(g.frame[4], g.frame[5:], g.negotiated); wrong != "" {
		return badPacket(wrong)
	}
	g.session.agreed.tally.event(g.frame[4])
	g.negotiated = true
	g.rest = g.frame
	return nil
}

// badPacket is what is wrong with a packet.
type badPacket string

func (e badPacket) Error() string { return "bad packet: " + string(e) }

// fail logs why nothing more is read, unless the MTA or we have ended it in
// good order.
func (g *guard) fail(err error) {
	var bad badPacket
	switch {
	case g.ending():
	case errors.Is(err, io.EOF):
		g.end("mta_lost")
	case errors.As(err, &bad):
		g.end("bad_packet")
		g.log.Warn("closed a connection of the MTA", "reason", "bad_packet", "error", string(bad))
	case errors.Is(err, os.ErrDeadlineExceeded):
		g.end("mta_timeout")
		g.log.Warn("closed a connection of the MTA", "reason", "mta_timeout")
	default: // in the middle of a packet, or reset
		g.end("mta_lost")
		g.log.Warn("lost a connection of the MTA", "error", err)
	}
}

// end notes why the connection ends. The first reason stays.
func (g *guard) end(reason string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.reason == "" {
		g.reason = reason
	}
}

// ending reports whether the connection ends.
func (g *guard) ending() bool { return g.why() != "" }

// why returns why the connection ends, "" while it does not.
func (g *guard) why() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.reason
}

// cut ends the connection from any goroutine, and the work that is done for it.
func (g *guard) cut(reason string) {
	g.end(reason)
	g.Conn.Close()
	g.session.cut()
}

// Close is the library's last act on a connection.
func (g *guard) Close() error {
	err := g.Conn.Close()
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.ended {
		g.ended = true
		close(g.closed)
	}
	return err
}
