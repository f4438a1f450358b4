//go:build !unix

package door

import (
	"net"
	"time"
)

// Dismiss tells a client that has just connected some last words, and closes. It
// returns how many octets the kernel has taken.
func Dismiss(conn net.Conn, words []byte) (sent int) {
	defer conn.Close()
	conn.SetWriteDeadline(time.Now().Add(time.Second))
	sent, _ = conn.Write(words)
	return sent
}
