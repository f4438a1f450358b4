package chain

import (
	"strings"

	"github.com/mailweir/mailweir/filters"
)

// Replies for verdicts that bring none of their own.
var (
	rejected  = filters.Reply{Code: 550, Enh: [3]uint16{5, 7, 1}, Text: "Refused by policy"}
	tryLater  = filters.Reply{Code: 451, Enh: [3]uint16{4, 7, 1}, Text: "Please try again later"}
	closing   = filters.Reply{Code: 421, Enh: [3]uint16{4, 7, 1}, Text: "Closing connection, please try again later"}
	discarded = filters.Reply{Code: 250, Enh: [3]uint16{2, 0, 0}, Text: "Ok"}

	undecided       = filters.Reply{Code: 451, Enh: [3]uint16{4, 3, 0}, Text: "Temporary failure of a check, please try again later"}
	undecidedReject = filters.Reply{Code: 550, Enh: [3]uint16{5, 3, 0}, Text: "A check could not be made"}
)

// dropCode is the code of a permanent refusal that closes the connection
// (RFC 7504).
const dropCode = 521

// wording returns the reply of a decision. It makes code and enhanced status
// code agree with the action: MTAs answer 451 to a filter whose classes differ.
func wording(stage filters.Stage, action filters.Action, v filters.Verdict) filters.Reply {
	reply := v.Finding.Reply
	if reply.Code == 0 {
		reply = defaultReply(v.Action)
	}
	switch action {
	case filters.Reject:
		if stage == filters.Command {
			break
		}
		if !reply.Permanent() {
			reply.Code = rejected.Code
		}
	case filters.TempFail:
		if !reply.Temporary() {
			reply.Code = tryLater.Code
		}
	case filters.Hangup:
		if reply.Permanent() {
			reply.Code = dropCode
		} else {
			reply.Code = closing.Code
		}
	case filters.Discard:
		if reply.Code/100 != 2 {
			reply = discarded
		}
	}
	if reply.Enh[0] != 0 {
		reply.Enh[0] = reply.Code / 100
	}
	reply.Text = strings.TrimRight(strings.Map(printable, reply.Text), "\n ")
	return reply
}

// printable replaces what may not stand in a reply (RFC 5321 section 4.2): a
// filter may have quoted the client.
func printable(c rune) rune {
	if c < ' ' && c != '\n' && c != '\t' || c == 0x7f {
		return '?'
	}
	return c
}

// worded returns the decision with the id in its text that its log record will
// bear. It is added when the client is told: what was held since Connect is
// told in a transaction.
func (r *Run) worded(ru *ruling) Decision {
	d := ru.decision
	if d.Reply.Code >= 400 {
		d.Reply.Text = strings.TrimLeft(d.Reply.Text+" (id "+r.id()+")", " ")
	}
	return d
}

func defaultReply(action filters.Action) filters.Reply {
	switch action {
	case filters.Reject:
		return rejected
	case filters.TempFail:
		return tryLater
	case filters.Hangup:
		return closing
	case filters.Discard:
		return discarded
	}
	return filters.Reply{}
}

// id is what a refused sender can quote: it stands in the log too.
func (r *Run) id() string {
	if r.inTx {
		return r.tx.ID()
	}
	return r.session.ID
}
