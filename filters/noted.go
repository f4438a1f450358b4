package filters

import "slices"

// Noted is a finding as the chain settled it, for the filters that are asked
// later.
type Noted struct {
	Filter  string // name of the entry
	Stage   Stage
	Reason  string
	Action  Action // what was done; Continue for a failure that on_error passed over
	Ignored bool   // the entry is only observed: Action was not done
}

// String returns the finding as "filter:reason(action)", where the action may
// be the word ignored.
func (n Noted) String() string {
	action := n.Action.String()
	if n.Ignored {
		action = "ignored"
	}
	return n.Filter + ":" + n.Reason + "(" + action + ")"
}

// maxNoted bounds what a client can make a session, or a transaction, keep.
const maxNoted = 32

// Findings returns what was found so far and did not end the transaction: at
// Connect, at the HELO in force, and since MAIL. Equal findings, as those on
// several recipients, stand in it once, and no more than 32 of the session and
// 32 of the transaction.
func (t *Transaction) Findings() []Noted { return slices.Concat(t.Session.noted, t.noted) }

// Note keeps a finding. The chain calls it.
func (t *Transaction) Note(n Noted) {
	list := &t.noted
	if n.Stage.OfSession() {
		list = &t.Session.noted
	}
	if len(*list) < maxNoted && !slices.Contains(*list, n) {
		*list = append(*list, n)
	}
}

// ForgetFindings drops the findings of that stage and all later ones of the
// dialogue; breaches only when a session begins. The chain calls it where these
// stages begin anew.
func (t *Transaction) ForgetFindings(from Stage) {
	later := func(n Noted) bool { return n.Stage >= from && (n.Stage != Conduct || from == Connect) }
	t.Session.noted = slices.DeleteFunc(t.Session.noted, later)
	t.noted = slices.DeleteFunc(t.noted, later)
}
