package filters

import (
	"errors"
	"fmt"
)

// Action is what a verdict asks for.
type Action uint8

// The closed set of actions.
const (
	Continue   Action = iota // nothing found: ask the next filter
	Accept                   // ask no more filters: of the session at Connect and Helo, of this recipient at Rcpt, else of the transaction
	Reject                   // refuse for good (5xx)
	TempFail                 // refuse for now (4xx)
	Discard                  // acknowledge the message and drop it
	Quarantine               // let the message pass, set aside
	Hangup                   // refuse with 421 (or 521) and close the connection
)

var actionNames = [...]string{"continue", "accept", "reject", "tempfail", "discard", "quarantine", "hangup"}

// String returns the action's name as it is written in configurations and logs.
func (a Action) String() string {
	if int(a) < len(actionNames) {
		return actionNames[a]
	}
	return fmt.Sprintf("action(%d)", uint8(a))
}

// Verdict is a filter's answer. The zero Verdict is Continue.
type Verdict struct {
	Action  Action
	Finding *Finding
}

// Finding is why a verdict is not Continue.
type Finding struct {
	Reply  Reply  // for the client; the zero Reply leaves the wording to the chain
	Reason string // a stable slug such as "not_fqdn": for logs, counters and rules
	Err    error  // for the log only

	// Observed makes the chain log and count the finding, and do nothing
	// about it, whatever the entry's action is: see Test.
	Observed bool
}

// Refuse returns the verdict that refuses with that reply: TempFail for a 4xx,
// Hangup for 421 and 521, else Reject.
//
// At stage Command the reply may be of any class: it is then the answer to the
// verb, given in the upstream's place.
func Refuse(reason string, code uint16, enh [3]uint16, text string) Verdict {
	action := Reject
	switch {
	case code == 421 || code == 521:
		action = Hangup
	case code/100 == 4:
		action = TempFail
	}
	return Verdict{action, &Finding{Reply: Reply{code, enh, text}, Reason: reason}}
}

// Accepted returns the verdict that ends the chain in the client's favour.
func Accepted(reason string) Verdict {
	return Verdict{Accept, &Finding{Reason: reason}}
}

// Failed returns the verdict of a filter that could not decide. The chain
// settles it by the entry's on_error.
func Failed(err error) Verdict {
	if err == nil { // it must not pass for "nothing found"
		err = errors.New("failed, and did not say why")
	}
	return Verdict{Continue, &Finding{Reason: "error", Err: err}}
}
