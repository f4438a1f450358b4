package filters

import (
	"context"
	"time"
)

// Breach is something that no mail server does, and that only the wire shows.
type Breach uint8

// The breaches. A client that talks before it is greeted is not among them:
// see Wire.
const (
	Pipelined Breach = iota // commands sent ahead where that is not allowed (RFC 2920 section 3.1)
	NotSMTP                 // an HTTP request, a TLS handshake, binary octets
	BareLF                  // a command that ends in LF without CR
)

var breachNames = [...]string{"pipelining", "non_smtp", "bare_lf"}

// String returns the breach as logs and counters name it.
func (b Breach) String() string { return breachNames[b] }

// ConductFilter is asked about each kind of breach, at its first time in a
// session. The sample is what was sent, up to 64 octets.
type ConductFilter interface {
	Conduct(ctx context.Context, s *Session, b Breach, sample []byte) Verdict
}

// Wire is the client's connection before the greeting, for a Connect method
// whose Kind declares the need HearClient.
type Wire interface {
	// Tease sends a first line of the greeting, "220-" with our name and the
	// text: the greeting itself must follow.
	Tease(text string) error

	// Listen waits until the client talks, it is gone, wait is over or ctx
	// ends, and returns what the client has said by then, up to 64 octets.
	// None of it is lost to the session.
	Listen(ctx context.Context, wait time.Duration) (said []byte)
}
