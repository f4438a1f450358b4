package ordeal

import (
	"math/rand/v2"
	"net"
	"time"
)

// fault is one way for an upstream to misbehave.
type fault string

const (
	none fault = ""
	// With any reply.
	closes   fault = "closes"             // in place of the reply
	resets   fault = "resets"             // by RST
	half     fault = "half a reply"       // and closes
	later    fault = "4xx"                //
	never    fault = "5xx"                //
	shuts    fault = "421"                // and closes
	slow     fault = "slow"               // but within patience
	drips    fault = "octet by octet"     //
	stalls   fault = "stalls"             // beyond patience
	dies     fault = "kill before reply"  // of the relay
	diesThen fault = "kill after reply"   // of the relay
	vanishes fault = "resets after reply" // at once
	leaves   fault = "closes after reply" // so that the next command meets a closed connection
	speaks   fault = "421 after reply"    // that nobody asked for
)

// Faults of commands, and of texts by when they strike. Such as come more than
// once come more often.
var (
	ofReply = []fault{closes, resets, half, later, later, never, shuts, slow, slow, drips, drips, dies, diesThen, vanishes, leaves, speaks}
	inText  = []fault{closes, resets, later, never, shuts, slow, slow, dies}
)

// stallEvery of so many faults one stalls: each takes its client longer than
// all others together.
const stallEvery = 40

// draw returns a fault at the given rate.
func draw(random *rand.Rand, rate float64, from []fault) fault {
	switch {
	case random.Float64() >= rate:
		return none
	case random.IntN(stallEvery) == 0:
		return stalls
	}
	return from[random.IntN(len(from))]
}

// maxSlow is the longest that a slow upstream waits.
const maxSlow = 100 * time.Millisecond

// reset closes a connection by RST.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	conn.Close()
}
