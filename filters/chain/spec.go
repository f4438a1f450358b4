// Package chain is the one engine that runs filters: it orders them, asks
// them, and settles what their verdicts mean for the client. It knows no kind
// of filter, no configuration format and no front end.
package chain

import (
	"fmt"
	"slices"
	"time"

	"github.com/mailweir/mailweir/filters"
)

// Spec is one entry of a chain, as the administrator ordered it.
type Spec struct {
	Kind      filters.Kind
	Name      string        // for logs; the kind's name if empty
	Pos       string        // where the entry stands (file:line:col), for messages
	Conf      any           // what Kind.Conf returned, filled in
	Action    Action        // what to do about a finding
	OnError   OnError       // what to do when the filter cannot decide
	Timeout   time.Duration // longest wait for one answer, 0 for the kind's default
	Listeners []string      // the listeners it serves; all if empty

	// Quarantine, if any of it is set, is done in place of the MTA's own
	// quarantine, which a relay does not have.
	Quarantine Quarantine
}

// Quarantine says how a message is set aside: marked by a field, sent to other
// recipients than its own, or both.
type Quarantine struct {
	Field    filters.AddField // no name: none
	Redirect string           // a path with its angle brackets, or ""
}

func (q Quarantine) needs() filters.Needs {
	var n filters.Needs
	if q.Field.Name != "" {
		n |= filters.EditHeader
	}
	if q.Redirect != "" {
		n |= filters.EditRcpt
	}
	return n
}

// edits are what sets the transaction's message aside.
func (q Quarantine) edits(t *filters.Transaction) []filters.Edit {
	var list []filters.Edit
	if q.Field.Name != "" {
		list = append(list, q.Field)
	}
	if q.Redirect != "" {
		for _, to := range t.Rcpts {
			list = append(list, filters.RemoveRcpt{Raw: to.Raw})
		}
		list = append(list, filters.AddRcpt{To: filters.Path{Raw: q.Redirect}})
	}
	return list
}

// serves reports whether the entry is asked for sessions of that listener.
func (s *Spec) serves(listener string) bool {
	return len(s.Listeners) == 0 || slices.Contains(s.Listeners, listener)
}

// Options are the settings of a whole chain.
type Options struct {
	// DelayReject is the stage until which a refusal found earlier waits, so
	// that the log knows sender and recipient: Connect (no delay), Helo, Mail
	// or Rcpt.
	DelayReject filters.Stage
}

// Action is what an entry does about a finding, in postscreen's words.
type Action uint8

// The actions of an entry.
const (
	Enforce Action = iota // refuse as found, in the session
	Ignore                // only log what would have been done
	Drop                  // refuse with 521 or 421 and close the connection
)

// OnError settles a filter's error, time-out or panic.
type OnError uint8

// The ways to settle an error.
const (
	ErrorTempFail OnError = iota // 451: the client tries again
	ErrorContinue                // as if the filter had found nothing, but logged
	ErrorReject                  // 550
)

var (
	actionNames  = []string{"enforce", "ignore", "drop"}
	onErrorNames = []string{"tempfail", "continue", "reject"}
)

// String returns the action as configurations spell it.
func (a Action) String() string { return actionNames[a] }

// MarshalText spells the action.
func (a Action) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads an action.
func (a *Action) UnmarshalText(text []byte) error {
	i, err := index(actionNames, string(text))
	*a = Action(i)
	return err
}

// Words returns the actions an entry may have.
func (Action) Words() []string { return actionNames }

// String returns the way as configurations spell it.
func (o OnError) String() string { return onErrorNames[o] }

// MarshalText spells the way.
func (o OnError) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText reads a way.
func (o *OnError) UnmarshalText(text []byte) error {
	i, err := index(onErrorNames, string(text))
	*o = OnError(i)
	return err
}

// Words returns the ways an entry may have.
func (OnError) Words() []string { return onErrorNames }

func index(words []string, word string) (int, error) {
	for i, w := range words {
		if w == word {
			return i, nil
		}
	}
	return 0, fmt.Errorf("%q is none of %q", word, words)
}
