package milter

import (
	"fmt"
	"strings"

	lib "github.com/d--j/go-milter"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
)

// The replies of our own.
var (
	internalError = reply(451, 4, 3, 0, "Internal error")
	outOfStep     = reply(451, 4, 3, 0, "Events out of order")
	notEdited     = reply(451, 4, 3, 0, "The message could not be changed as it must be")
	badSender     = reply(553, 5, 1, 7, "Control characters in the sender's address")
	badRecipient  = reply(553, 5, 1, 3, "Control characters in the address")
	tooManyRcpts  = reply(452, 4, 5, 3, "Too many recipients")
	bigHeader     = reply(552, 5, 3, 4, "Header section too large")
	passedOn      = reply(250, 2, 0, 0, "Passed to the MTA")
)

func reply(code, class, subject, detail uint16, text string) filters.Reply {
	return filters.Reply{Code: code, Enh: [3]uint16{class, subject, detail}, Text: text}
}

// internalError is the answer of a session that a panic has broken.
func (s *session) internalError() filters.Reply {
	r := internalError
	r.Text += " (id " + s.info.ID + ")"
	return r
}

// respond turns a decision into what the MTA is told, and ends the message if
// that is what it means.
func (s *session) respond(at filters.Stage, d chain.Decision) *lib.Response {
	switch {
	case at == filters.EOM && (d.Action == filters.Continue || d.Action == filters.Quarantine):
		s.finish(chain.Result{Reply: passedOn})
		return lib.RespAccept
	case d.Action == filters.Discard && at >= filters.Mail && at <= filters.EOM:
		s.finish(chain.Result{Reply: d.Reply})
		s.over = lib.RespDiscard
		return s.over
	case d.Refuses() && d.Reply.Code >= 400: // others are the MTA's to give
		if at == filters.Connect && d.Action == filters.Hangup {
			// Sendmail closes after a reply of one line only. Neither MTA shows it.
			d.Reply.Text, _, _ = strings.Cut(d.Reply.Text, "\n")
		}
		resp := refusal(d.Reply)
		s.refused(at, d, resp)
		return resp
	}
	return lib.RespContinue
}

// refused ends the message, unless only a recipient was refused or a greeting.
func (s *session) refused(at filters.Stage, d chain.Decision, resp *lib.Response) {
	res := chain.Result{Reply: d.Reply}
	switch {
	case at < filters.Mail || at == filters.Command:
		return
	case d.Action == filters.Hangup:
		res.Reason = "hangup"
	case at == filters.Rcpt:
		return
	}
	if s.content.tooLarge {
		res.Filter, res.Reason = "limits", "header_too_large"
		s.terms.tally.limit(res.Reason)
	}
	if s.content.unedited {
		res.Filter, res.Reason = "milter", "not_edited"
	}
	s.finish(res)
	s.over = resp
}

// closing is the code after which MTAs close the client's connection.
const closing = 421

// refusal makes a response of a reply. The library wants the enhanced status
// code once and puts it on each line; both MTAs want it to be of the code's
// class.
func refusal(r filters.Reply) *lib.Response {
	if r.Code == 521 {
		r.Code = closing
	}
	text := r.Text
	if r.Enh[0] != 0 {
		text = fmt.Sprintf("%d.%d.%d %s", r.Code/100, r.Enh[1], r.Enh[2], text)
	}
	resp, err := lib.RejectWithCodeAndReason(r.Code, text)
	switch {
	case err == nil && text != "":
		return resp
	case r.Permanent():
		return lib.RespReject
	}
	return lib.RespTempFail
}
