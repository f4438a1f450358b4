// Package trial plays imagined SMTP sessions: what a configuration would do with
// a client, a sender and a message, before there are any. The chain and the
// relay are the real ones; the client, the MTA behind them and their
// connections are not. Nothing is delivered.
package trial

import (
	"net/netip"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
	"github.com/mailweir/mailweir/rules"
)

// Session is what is imagined.
type Session struct {
	Client  netip.AddrPort
	Local   netip.AddrPort // the address that it connected to; zero if that is left open
	Helo    string         // what it says in EHLO
	From    string         // the reverse-path with its angle brackets
	To      []string       // the forward-paths with theirs
	Message []byte         // lines may end in LF
}

// Account is what came of a session.
type Account struct {
	Steps      []Step
	Facts      []Fact
	Edits      []filters.Edit // what would be changed, if the message is accepted
	Recipients []Recipient
	End        End
	SetAside   bool     // the message is accepted, and put in quarantine
	Unasked    []string // names of the entries that had questions for the DNS which were not asked
}

// Asked is a question to a filter.
type Asked struct {
	chain.Asked
	Rules []rules.Step // what became of its rules, if it is a policy
}

// Step is one thing that the client says, and what comes of it.
type Step struct {
	Said  string  // "" when it connects
	Asked []Asked // the questions to filters, in order
	Note  string  // why no filter is asked, "" for nothing special
	Reply Reply
}

// Reply is what the client hears, line by line. The zero Reply is the end of
// the connection.
type Reply struct {
	Code  int
	Lines []string // each with the code
}

// Refused reports whether the client must do without what it asked for.
func (r Reply) Refused() bool { return r.Code == 0 || r.Code >= 400 }

// closes reports whether the connection ends with the reply (RFC 5321 section
// 3.8, RFC 7504).
func (r Reply) closes() bool { return r.Code == 0 || r.Code == 421 || r.Code == 521 }

// Fact is what a filter has learnt.
type Fact struct {
	Name  string
	Value any
	Err   error  // why there is no value
	By    string // name of the entry that has set it
}

// Recipient is what becomes of the message for one recipient.
type Recipient struct {
	Path  string
	Reply Reply // the last that concerns it
	End   End
}

// End is how a session ends for a message.
type End string

// The ends.
const (
	Accepted   End = "accepted"
	Discarded  End = "discarded" // acknowledged and dropped
	Refused    End = "refused"   // for good
	TempFailed End = "refused for now"
)

// endOf is what a reply means for a message.
func endOf(r Reply) End {
	switch {
	case !r.Refused():
		return Accepted
	case r.Code/100 == 5:
		return Refused
	}
	return TempFailed
}
