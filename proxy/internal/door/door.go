// Package door is what the front ends have in common: how they accept
// connections, and how they name sessions.
package door

import (
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"time"
)

// The waits after a failed accept. Being out of descriptors passes.
const (
	firstWait = 5 * time.Millisecond
	longWait  = time.Second
)

// Accept hands each connection of l to serve, until l is closed. serve must
// not wait.
func Accept(l net.Listener, log *slog.Logger, serve func(net.Conn)) {
	wait := firstWait
	for {
		conn, err := l.Accept()
		switch {
		case err == nil:
			wait = firstWait
			serve(conn)
		case errors.Is(err, net.ErrClosed):
			return
		default:
			log.Warn("cannot accept a connection", "error", err)
			time.Sleep(wait)
			wait = min(2*wait, longWait)
		}
	}
}

// NewID returns the id of a session: 60 random bits, easy to read out.
func NewID() string {
	const digits = "0123456789abcdefghjkmnpqrstvwxyz" // Crockford's base 32
	var id [12]byte
	bits := rand.Uint64()
	for i := range id {
		id[i] = digits[bits&31]
		bits >>= 5
	}
	return string(id[:])
}
