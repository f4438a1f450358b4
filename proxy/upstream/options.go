// Package upstream is the side of the MTAs behind us: groups of servers, which
// of them lives, connections to them, and how they learn who the client is.
package upstream

import (
	"crypto/tls"
	"time"
)

// Options are the settings of one group of servers. All of them serve the same
// recipients; a session talks to one of them at a time.
type Options struct {
	Name     string // unique in the process; what is known of the servers is kept by it
	Hostname string // ours, as we greet
	Servers  []Server
	Balance  Balance
	LMTP     bool // RFC 2033 instead of SMTP

	Identity     Identity
	ProxyVersion int  // 1 or 2, of identity PROXY
	ClientName   bool // look up the client's name, for XCLIENT and XFORWARD
	TLS          TLSMode
	TLSConfig    func(serverName string) *tls.Config // nil without TLS

	MaxConnections int // to each server at a time
	Reuse          bool
	ReuseIdle      time.Duration // how long a connection is kept that nobody uses
	Health         Health
	BackOff        BackOff
	Recipients     *RecipientOptions // nil to remember none
}

// Server is where one or more servers of a group are.
type Server struct {
	Kind   ServerKind
	Host   string // name or address of a Host; domain of an SRV or MX
	Port   uint16 // of a Host or MX
	Path   string // of a Unix socket
	Weight int    // share of the sessions with Balance ByWeight, from 1
}

// ServerKind is how a server is found.
type ServerKind uint8

// The ways to find servers.
const (
	Host ServerKind = iota // at the addresses of a name
	Unix                   // at a Unix socket
	SRV                    // at the hosts and ports of SRV records (RFC 2782)
	MX                     // at the mail exchangers of a domain (RFC 5321 section 5.1)
)

// Balance is how the server of a session is chosen among those that live.
type Balance uint8

// The ways to choose.
const (
	InOrder       Balance = iota // the first that lives
	ByWeight                     // at random, by weight
	LeastSessions                // the one with the fewest sessions for its weight
)

// Identity is how an upstream learns who the client is.
type Identity uint8

// The ways to tell it.
const (
	NoIdentity  Identity = iota // it sees our address
	XCLIENT                     // the command of Postfix
	XFORWARD                    // the other command of Postfix, for the log only
	PROXY                       // haproxy's header
	Transparent                 // we connect from the client's address
)

// TLSMode is when connections are encrypted.
type TLSMode uint8

// The modes.
const (
	NoTLS         TLSMode = iota
	Opportunistic         // by STARTTLS if the server offers it; in clear if that fails
	RequireTLS            // by STARTTLS
	ImplicitTLS           // from the first octet
)

// Health is how servers are looked at that nobody uses at the moment.
type Health struct {
	Interval time.Duration // between checks; 0 for none
	Timeout  time.Duration // of one
}

// BackOff is how long a server that has failed is left alone, twice as long
// after each further failure.
type BackOff struct{ First, Max time.Duration }

// Timeouts bound each wait for an upstream (RFC 5321 section 4.5.3.2).
type Timeouts struct {
	Connect   time.Duration // for a connection to any server of the group
	Handshake time.Duration // of TLS
	Greeting  time.Duration
	Mail      time.Duration
	Rcpt      time.Duration
	Data      time.Duration // for 354
	Block     time.Duration // for it to take the next octets of a text
	EndOfData time.Duration // for the reply to a whole message
	Other     time.Duration
}

// TellsTLS reports whether the server hears of the encryption of the client's
// connection when ours begins, and not later.
func (o *Options) TellsTLS() bool { return o.Identity == PROXY && o.ProxyVersion == 2 }
