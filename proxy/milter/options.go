// Package milter is the front end that an MTA asks: Postfix or Sendmail tell it
// each step of an SMTP session over the milter protocol, and it answers with
// what the chain settled. The same chain serves the relay.
//
// An MTA holds the message, so nothing is stored here, and all edits are
// possible. What differs from the relay:
//
//   - The MTA does not tell HELO from EHLO: Session.ESMTP is always true.
//   - The MTA tells of few verbs besides those of a transaction: see Blind.
//   - The answer to a verb can only be a refusal; others are the MTA's to give.
//   - The MTA's own last word on a message is not heard here. The record
//     "accepted" means that the message was passed back to the MTA.
//   - A connection that is refused for good is told 421, as one that is refused
//     for now: the one reply after which MTAs close.
//
// When the connection between MTA and mailweir ends within an SMTP session, the
// MTA lets its default action decide on what is left of that session:
// milter_default_action of Postfix, the flag F= of Sendmail. It should be
// tempfail.
package milter

import (
	"log/slog"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
)

// Options are the settings of one listener. All are required but Meters.
type Options struct {
	Name     string // of the listener
	Hostname string // our own name, for sessions whose MTA does not tell its own
	Chain    *chain.Chain
	Log      *slog.Logger
	Meters   *Meters // shared by all listeners of a process; nil to count nothing

	MaxConnections int // of MTAs at a time: each SMTP session takes one
	MaxPacket      int // octets

	Timeouts Timeouts
}

// Timeouts bound each wait.
type Timeouts struct {
	Idle     time.Duration // for the MTA's next packet: longer than its own patience with SMTP clients
	Packet   time.Duration // for the rest of a packet, and for the first one
	Write    time.Duration // for the MTA to take what we say
	Progress time.Duration // between signs of life while the chain judges a whole message
	Drain    time.Duration // after the order to stop, before connections without a message are closed
}

// Offers is what this front end can do for a chain, though some of it in part
// only: see Blind.
var Offers = filters.Offers{
	Stages: filters.AllStages,
	Needs:  filters.WholeMessage | filters.DoQuarantine | filters.Edits | filters.TellHELO | filters.HearClient,
}

// Blind lists what filters may ask for and see but a part of: those that ask
// for more than With miss what Why tells. Of stage command MTAs tell the verbs
// that they do not know; Postfix tells of EXPN and HELP too, without arguments.
var Blind = []struct {
	With filters.Offers
	Why  string
}{
	{
		With: filters.Offers{Stages: filters.AllStages &^ filters.StageSet(filters.Command), Needs: Offers.Needs},
		Why: "an MTA that asks a milter does not tell of VRFY, NOOP, ETRN and AUTH, and Sendmail not of EXPN and HELP either: " +
			"set them up in the MTA, and list the other listeners in this entry's listeners",
	},
	{
		With: filters.Offers{Stages: filters.AllStages, Needs: Offers.Needs &^ filters.TellHELO},
		Why:  "an MTA that asks a milter does not tell HELO from EHLO: helo_after_ehlo finds nothing here",
	},
	{
		With: filters.Offers{Stages: filters.AllStages, Needs: Offers.Needs &^ filters.HearClient},
		Why: "a milter does not see what a client says before it is greeted, nor what it sends ahead: " +
			"this filter finds nothing here, use postscreen of Postfix, or a listener of mode relay",
	},
}
