//go:build unix

package door

import (
	"net"
	"syscall"
)

// Dismiss tells a client that has just connected some last words, without ever
// waiting, and closes. The words must be few: they find an empty buffer. It
// returns how many octets the kernel has taken.
//
// What the client has sent by then is thrown away: an end with octets unread
// would be a reset, which may overtake the words.
func Dismiss(conn net.Conn, words []byte) (sent int) {
	defer conn.Close()
	c, ok := conn.(syscall.Conn)
	if !ok { // not of the kernel's
		sent, _ = conn.Write(words)
		return sent
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return 0
	}
	raw.Control(func(fd uintptr) {
		var unread [1 << 10]byte
		sent, _ = syscall.Write(int(fd), words)
		syscall.Read(int(fd), unread[:])
	})
	return max(sent, 0)
}
