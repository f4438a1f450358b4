package relay

import (
	"github.com/mailweir/mailweir/filters"
)

// What mailweir says in its own name. "%h" is our host name.
var (
	tooManySessions = reply(421, 4, 7, 0, "%h Too many connections, try again later")
	shuttingDown    = reply(421, 4, 3, 2, "%h Service is shutting down, try again")
	timedOut        = reply(421, 4, 4, 2, "%h Time-out, closing connection")
	tooManyErrors   = reply(421, 4, 7, 0, "%h Too many errors, closing connection")
	tooManyCommands = reply(421, 4, 7, 0, "%h Too many commands, closing connection")
	tooManyMails    = reply(421, 4, 7, 0, "%h Too many messages in this session, connect again")
	tooManyInAll    = reply(421, 4, 7, 0, "%h Too many recipients in this session, connect again")
	tooSlow         = reply(421, 4, 4, 2, "%h Message comes too slowly, closing connection")
	internalError   = reply(421, 4, 3, 0, "%h Internal error, closing connection")
	noUpstream      = reply(421, 4, 3, 2, "%h Mail service not reachable, try again later")
	upstreamLost    = reply(421, 4, 4, 2, "%h Lost the mail service, try again later")
	outOfStep       = reply(421, 4, 3, 0, "%h Mail service is out of step, try again later")
	cannotEdit      = reply(451, 4, 3, 0, "Message could not be passed on as it should, try again later")
	noRoom          = reply(452, 4, 3, 1, "No room for the message, try again later")
	notConfirmed    = reply(451, 4, 4, 2, "Message not confirmed by the mail service, try again later")
	noHeader        = reply(421, 4, 7, 0, "%h PROXY header expected, closing connection")
	noProxy         = reply(421, 4, 7, 0, "%h PROXY header refused, closing connection")
	tooManyFails    = reply(421, 4, 7, 0, "%h Too many failed log-ins, try again later")
	routeDown       = reply(451, 4, 3, 0, "Mail service for that domain is not ready, try again later")
	otherGroup      = reply(452, 4, 5, 3, "Recipient needs a transaction of its own, send it again")

	badLine      = reply(500, 5, 5, 2, "Command refused: ")
	unknownVerb  = reply(500, 5, 5, 1, "Command not recognised")
	noSuchVerb   = reply(502, 5, 5, 1, "Command not implemented")
	badSequence  = reply(503, 5, 5, 1, "Bad sequence of commands")
	helloFirst   = reply(503, 5, 5, 1, "Send HELO or EHLO first")
	needMail     = reply(503, 5, 5, 1, "Send MAIL first")
	nestedMail   = reply(503, 5, 5, 1, "Transaction already begun")
	needRcpt     = reply(503, 5, 5, 1, "Send RCPT first")
	tooManyRcpts = reply(452, 4, 5, 3, "Too many recipients, send the rest in another transaction")
	noRcpt       = reply(554, 5, 5, 1, "No valid recipients")
	noArgs       = reply(501, 5, 5, 4, "No parameters allowed")
	tlsActive    = reply(503, 5, 5, 1, "TLS is already active")
	needTLS      = reply(530, 5, 7, 0, "Must issue a STARTTLS command first")
	authNeedsTLS = reply(538, 5, 7, 11, "Encryption required for authentication")
	noXClient    = reply(550, 5, 7, 0, "Not authorised to say XCLIENT")
	badXClient   = reply(501, 5, 5, 4, "XCLIENT: ")
	needName     = reply(501, 5, 5, 4, "Say your name: HELO or EHLO domain")
	badMail      = reply(501, 5, 5, 4, "Syntax: MAIL FROM:<address>")
	badRcpt      = reply(501, 5, 5, 4, "Syntax: RCPT TO:<address>")
	badSender    = reply(501, 5, 1, 7, "Bad sender address syntax")
	badRecipient = reply(501, 5, 1, 3, "Bad recipient address syntax")
	badParams    = reply(501, 5, 5, 4, "Bad parameter syntax")
	badParam     = reply(555, 5, 5, 4, "Parameter not recognised: ")
	needUTF8     = reply(553, 5, 6, 7, "Address needs SMTPUTF8")
	badChunk     = reply(501, 5, 5, 4, "Syntax: BDAT size [LAST]")
	badText      = reply(550, 5, 6, 0, "Message refused: ")
	bigHeader    = reply(552, 5, 3, 4, "Header section too large")
	tooLong      = reply(552, 5, 3, 4, "Message too large")

	startTLS = reply(220, 2, 0, 0, "Ready to start TLS")
	okay     = reply(250, 2, 0, 0, "Ok")
	senderOK = reply(250, 2, 1, 0, "Ok")
	rcptOK   = reply(250, 2, 1, 5, "Ok")
	goAhead  = filters.Reply{Code: 354, Text: "End data with <CR><LF>.<CR><LF>"}
	help     = reply(214, 2, 0, 0, "See RFC 5321")
	goodbye  = reply(221, 2, 0, 0, "Bye")
)

func reply(code, class, subject, detail uint16, text string) filters.Reply {
	return filters.Reply{Code: code, Enh: [3]uint16{class, subject, detail}, Text: text}
}

// named puts our name where RFC 5321 section 4.2 wants it: first in a 421.
func named(r filters.Reply, hostname string) filters.Reply {
	if len(r.Text) > 2 && r.Text[:2] == "%h" {
		r.Text = hostname + r.Text[2:]
	}
	return r
}

// with adds what is the matter.
func with(r filters.Reply, what string) filters.Reply {
	r.Text += what
	return r
}

// withID adds what a refused sender can quote.
func withID(r filters.Reply, id string) filters.Reply {
	r.Text += " (id " + id + ")"
	return r
}
