//go:build linux && !386 && !s390x

package door

import (
	"log/slog"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
)

// Dismiss tells a client that has just connected some last words, without ever
// waiting, and closes. The words must be few: they find an empty buffer.
func Dismiss(conn net.Conn, words []byte) {
	defer conn.Close()
	c, ok := conn.(syscall.Conn)
	if !ok { // not of the kernel's
		conn.Write(words)
		return
	}
	if raw, err := c.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { part(fd, words) })
	}
}

// part sends the words and the end behind them in one segment. What the client
// has sent by then is thrown away: closing with octets unread would be a reset,
// which may overtake the words.
func part(fd uintptr, words []byte) {
	send(fd, words, syscall.MSG_MORE)
	shutdown(fd)
	var unread [1 << 10]byte
	receive(fd, unread[:])
}

// skim goes on to refuse connections. Their sockets do not pass through the
// runtime's poller, which would wake up for each of them. It returns the first
// that is not to be refused, nil if there is none.
func skim(l net.Listener, log *slog.Logger, refuse func(netip.AddrPort) []byte) net.Conn {
	socket, ok := l.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return nil
	}
	s := skimmer{refuse: refuse, other: noSocket}
	raw.Control(func(fd uintptr) {
		s.once(fd)
		if s.refused > 0 && s.other == noSocket {
			s.besieged(fd)
		}
	})
	if s.other == noSocket {
		return nil
	}
	return connOf(s.other, log)
}

// A skimmer refuses connections until there is one that is not to be refused.
type skimmer struct {
	refuse  func(netip.AddrPort) []byte
	refused int
	other   int // the socket of that one
}

const noSocket = -1

// maxSkimmed is how many connections are refused without a pause.
const maxSkimmed = 100

// once refuses those who are waiting. It reports whether nobody waits any more.
func (s *skimmer) once(listener uintptr) (waited bool) {
	for range maxSkimmed {
		fd, client, err := accept(listener)
		switch err {
		case nil:
		case syscall.EINTR, syscall.ECONNABORTED:
			continue
		default:
			return err == syscall.EAGAIN
		}
		var words []byte
		if client.IsValid() {
			words = s.refuse(client)
		}
		if words == nil {
			s.other = fd
			return false
		}
		part(uintptr(fd), words)
		closeSocket(uintptr(fd))
		s.refused++
	}
	return false
}

// siege bounds the time for which the listener is not looked at as usual, so that
// it can be closed.
const siege = 100 * time.Millisecond

// besieged refuses those who come for a while, too. It waits for them at a
// descriptor of its own, as nobody can wait at one of package net's without
// accepting from it.
func (s *skimmer) besieged(listener uintptr) {
	fd, err := duplicate(listener)
	if err != nil {
		return
	}
	file := os.NewFile(uintptr(fd), "listener") // non-blocking, so that the runtime can wait
	defer file.Close()
	raw, err := file.SyscallConn()
	if err != nil || file.SetReadDeadline(time.Now().Add(siege)) != nil {
		return
	}
	for err == nil && s.other == noSocket {
		before := s.refused
		err = raw.Read(func(fd uintptr) bool { return !s.once(fd) })
		if s.refused == before {
			return // what is wrong, the listener tells
		}
	}
}

// connOf makes a connection of its descriptor, as Accept of a listener without
// keep-alive does. It returns nil if it cannot: then the connection is closed.
func connOf(fd int, log *slog.Logger) net.Conn {
	f := os.NewFile(uintptr(fd), "")
	defer f.Close()
	conn, err := net.FileConn(f)
	if err != nil {
		log.Warn("cannot accept a connection", "error", err)
		return nil
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetKeepAlive(false)
	}
	return conn
}
