package resolver

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// maxPacket is how much is read of a UDP packet: more than is asked for, for
// servers that do not heed it.
const maxPacket = 4096

// overUDP sends the question from a socket of its own, whose port the kernel
// draws at random, and waits for the reply to it. What else arrives is passed
// over.
func (r *Resolver) overUDP(ctx context.Context, s *server, q *query) ([]byte, fit, error) {
	conn, release, err := r.connect(ctx, "udp", s)
	if err != nil {
		return nil, stranger, r.broken(ctx, "udp", err, 0)
	}
	defer release()
	if _, err := conn.Write(q.wire); err != nil {
		return nil, stranger, r.broken(ctx, "udp", err, 0)
	}
	packet := make([]byte, maxPacket)
	for strangers := 0; ; strangers++ {
		n, err := conn.Read(packet)
		if err != nil {
			return nil, stranger, r.broken(ctx, "udp", err, strangers)
		}
		if how := q.fits(packet[:n]); how != stranger {
			return packet[:n], how, nil
		}
		r.meters.exchange("udp", exchangeMismatch)
	}
}

// overTCP asks over a connection of its own (RFC 7766). The reply may have
// other letters than the question.
func (r *Resolver) overTCP(ctx context.Context, s *server, q *query) ([]byte, fit, error) {
	conn, release, err := r.connect(ctx, "tcp", s)
	if err != nil {
		return nil, stranger, r.broken(ctx, "tcp", err, 0)
	}
	defer release()
	framed := append(binary.BigEndian.AppendUint16(nil, uint16(len(q.wire))), q.wire...)
	if _, err := conn.Write(framed); err != nil {
		return nil, stranger, r.broken(ctx, "tcp", err, 0)
	}
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return nil, stranger, r.broken(ctx, "tcp", err, 0)
	}
	packet := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(conn, packet); err != nil {
		return nil, stranger, r.broken(ctx, "tcp", err, 0)
	}
	how := q.fits(packet)
	if how == stranger {
		r.meters.exchange("tcp", exchangeMismatch)
		return nil, stranger, fmt.Errorf("%w: it is to another question", errGarbage)
	}
	return packet, how, nil
}

// connect opens a connection that ends with ctx, or when the server has had
// its time.
func (r *Resolver) connect(ctx context.Context, network string, s *server) (net.Conn, func(), error) {
	ctx, cancel := context.WithTimeout(ctx, r.Attempt)
	conn, err := r.dial(ctx, network, s.addr.String())
	if err != nil {
		cancel()
		return nil, nil, err
	}
	// The past wakes up whoever reads or writes.
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	return conn, func() {
		stop()
		cancel()
		conn.Close()
	}, nil
}

// broken counts and tells how an exchange ended without a reply.
func (r *Resolver) broken(ctx context.Context, transport string, err error, strangers int) error {
	var timeout net.Error
	switch late := errors.As(err, &timeout) && timeout.Timeout(); {
	case errors.Is(ctx.Err(), context.Canceled):
		r.meters.exchange(transport, exchangeCanceled)
		return errSilent
	case !late:
		r.meters.exchange(transport, exchangeError)
		return brief(err)
	}
	r.meters.exchange(transport, exchangeTimeout)
	if strangers > 0 {
		return fmt.Errorf("%w in time, but %d packets that were none to this question", errSilent, strangers)
	}
	return fmt.Errorf("%w in time", errSilent)
}
