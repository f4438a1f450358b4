// Package relay is the front end that stands in the stream: a transparent SMTP
// proxy. It asks the chain about each command and passes it to an upstream
// MTA, whose own reply goes back to the client.
//
// It has no queue. A client hears that its message was taken only after the
// upstream has said so; whatever goes wrong on the way is a 4xx or 421.
package relay

import (
	"log/slog"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
)

// Options are the settings of one listener. All are required but where a zero
// value is spelt out.
type Options struct {
	Name     string // of the listener
	Hostname string // our name in greetings
	Chain    *chain.Chain
	Log      *slog.Logger
	Limiter  *Limiter // shared by all listeners of a process

	Upstream       string // host:port
	MaxConnections int    // to the upstream at a time

	FixLines     bool     // normalise bare CR and LF in texts instead of refusing them
	FixNUL       bool     // drop NUL in texts instead of refusing it
	RelayVerbs   []string // further verbs to relay, in upper case; may be empty
	PassKeywords []string // further EHLO keywords to offer, in upper case; may be empty
	MaxErrors    int      // errors in a row of commands without a delivered message
	CommandLine  int      // longest command line in octets, CRLF included

	Timeouts Timeouts
}

// Timeouts bound each wait.
type Timeouts struct {
	Command   time.Duration // for a whole command line of the client
	DataBlock time.Duration // for the next octets of its text
	Write     time.Duration // for the client to take what we say
	Upstream  UpstreamTimeouts
}

// UpstreamTimeouts bound each wait for the upstream (RFC 5321 section 4.5.3.2).
type UpstreamTimeouts struct {
	Connect   time.Duration
	Greeting  time.Duration
	Mail      time.Duration
	Rcpt      time.Duration
	Data      time.Duration // for 354
	Block     time.Duration // for it to take the next octets of a text
	EndOfData time.Duration // for the reply to a whole message
	Other     time.Duration
}

// Offers is what the relay can do for a chain.
var Offers = filters.Offers{Stages: filters.AllStages, Needs: filters.WholeMessage | filters.Edits | filters.TellHELO | filters.HearClient}
