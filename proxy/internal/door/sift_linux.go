package door

import (
	"log/slog"
	"net"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
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
		raw.Control(func(fd uintptr) { part(int(fd), words) })
	}
}

// part sends the words and the end behind them in one segment. What the client
// has sent by then is thrown away: closing with octets unread would be a reset,
// which may overtake the words.
func part(fd int, words []byte) {
	unix.Send(fd, words, unix.MSG_MORE|unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	syscall.Shutdown(fd, syscall.SHUT_WR)
	var unread [1 << 10]byte
	syscall.Read(fd, unread[:])
}

// maxSkimmed is how many connections are refused before the listener is looked
// at again as usual.
const maxSkimmed = 100

// skim goes on to refuse connections that are waiting. Their sockets do not pass
// through the runtime's poller, which would wake up for each of them. It returns
// the first that is not to be refused, nil if there is none.
func skim(l net.Listener, log *slog.Logger, refuse func(netip.AddrPort) []byte) (next net.Conn) {
	c, ok := l.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nil
	}
	raw.Control(func(listener uintptr) {
		for range maxSkimmed {
			fd, from, err := syscall.Accept4(int(listener), syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
			if err != nil { // that there is none, or what Accept will tell
				return
			}
			var words []byte
			if client := addrOf(from); client.IsValid() {
				words = refuse(client)
			}
			if words == nil {
				next = connOf(fd, log)
				return
			}
			part(fd, words)
			syscall.Close(fd)
		}
	})
	return next
}

// addrOf is Addr for what accept4 returns. An address with a zone, of which the
// kernel tells the number and package net the name, counts as none.
func addrOf(a syscall.Sockaddr) netip.AddrPort {
	switch a := a.(type) {
	case *syscall.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *syscall.SockaddrInet6:
		if a.ZoneId == 0 {
			return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port))
		}
	}
	return netip.AddrPort{}
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
