// Package relay is the front end that stands in the stream: a transparent SMTP
// proxy. It asks the chain about each command and passes it to an upstream
// MTA, whose own reply goes back to the client.
//
// It has no queue. A client hears that its message was taken only after the
// upstream has said so; whatever goes wrong on the way is a 4xx or 421.
package relay

import (
	"log/slog"
	"net/netip"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
	"github.com/mailweir/mailweir/proxy/certs"
	"github.com/mailweir/mailweir/proxy/upstream"
)

// Options are the settings of one listener. All are required but where a zero
// value is spelt out.
type Options struct {
	Name     string // of the listener
	Hostname string // our name in greetings
	Chain    *chain.Chain
	Log      *slog.Logger
	Limiter  *Limiter // shared by all listeners of a process
	Meters   *Meters  // as well; nil to count nothing
	Room     *Room    // for held messages, shared too; nil for one without a bound

	Upstream *upstream.Group
	Routes   []Route // to other upstreams, by recipient; may be empty

	TLS         *TLS  // nil for none
	ProxyFrom   Peers // who must send a PROXY header; nil for nobody
	XClientFrom Peers // who may say XCLIENT; nil for nobody

	PlainAuth   bool      // offer AUTH without TLS
	Failures    *Failures // of log-ins, shared by all listeners; nil to count none
	MaxFailures int       // of a client within FailWindow; 0 for no limit
	FailWindow  time.Duration

	FixLines     bool     // normalise bare CR and LF in texts instead of refusing them
	FixNUL       bool     // drop NUL in texts instead of refusing it
	RelayVerbs   []string // further verbs to relay, in upper case; may be empty
	PassKeywords []string // further EHLO keywords to offer, in upper case; may be empty
	MaxErrors    int      // errors in a row of commands without a delivered message
	CommandLine  int      // longest command line in octets, CRLF included

	MaxSessions     int // at once of this listener; 0 for no limit
	MaxCommands     int // of a session since the last delivered message; 0 for no limit
	MaxTransactions int // of a session; 0 for no limit
	MaxRcpts        int // of a transaction; 0 for no limit
	MaxSessionRcpts int // named in a session; 0 for no limit
	MinRate         int // least octets of a text per second; 0 for no limit

	Stress   Stress
	Timeouts Timeouts
}

// Peers is a set of addresses.
type Peers interface{ Contains(netip.Addr) bool }

// TLS is the encryption of clients' connections.
type TLS struct {
	Config   *certs.ServerConfig
	Implicit bool // from the first octet
	Require  bool // nothing is served before STARTTLS
}

// Timeouts bound each wait.
type Timeouts struct {
	Command   time.Duration // for a whole command line of the client
	DataBlock time.Duration // for the next octets of its text
	Write     time.Duration // for the client to take what we say
	Handshake time.Duration // for its part of a TLS handshake
	Header    time.Duration // for a PROXY header
	Upstream  upstream.Timeouts
}

// Stress shortens waits for clients while there are many. The zero value never
// does.
type Stress struct {
	Share     float64 // of all sessions that may be, from which on; 0 for never
	Command   time.Duration
	DataBlock time.Duration
}

// Offers is what the relay can do for a chain.
var Offers = filters.Offers{Stages: filters.AllStages, Needs: filters.WholeMessage | filters.Edits | filters.TellHELO | filters.HearClient}
