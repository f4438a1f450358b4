package filters

import (
	"context"
	"errors"
	"io"
	"net/netip"
)

// Filter is one configured filter. Its stages are the methods it has of the
// interfaces below. One value serves all sessions, so its methods are called
// concurrently; what belongs to a session goes into facts.
//
// A filter that holds resources implements io.Closer too.
type Filter any

// ConnectFilter is asked when a client has connected.
type ConnectFilter interface {
	Connect(context.Context, *Session) Verdict
}

// AddressFilter is a ConnectFilter that knows its verdict from the client's
// address alone, without waiting. It may be asked before there is a session, and
// again in it: Connect gives the verdict that Address does.
type AddressFilter interface {
	ConnectFilter
	Address(client netip.Addr) Verdict
}

// HeloFilter is asked at each HELO and EHLO, with Session.Helo set.
type HeloFilter interface {
	Helo(context.Context, *Session) Verdict
}

// MailFilter is asked at MAIL, with Transaction.From set.
type MailFilter interface {
	Mail(context.Context, *Transaction) Verdict
}

// RcptFilter is asked at each RCPT, before the path joins Transaction.Rcpts.
type RcptFilter interface {
	Rcpt(context.Context, *Transaction, *Path) Verdict
}

// DataFilter is asked at DATA or the first BDAT, when the recipients are known.
type DataFilter interface {
	Data(context.Context, *Transaction) Verdict
}

// HeaderFilter is asked at the end of the header section.
type HeaderFilter interface {
	Header(context.Context, *Transaction) Verdict
}

// BodyFilter is given the content while it passes: all of it, header section
// included, without dot-stuffing, in pieces of any size. It returns the sink
// for one message, or nil when it does not care for this one. The sink must
// not keep the slices it is given.
//
// The sink's Write may return ErrSkip (no more of it, please) or ErrDecided.
// Any other error is settled by on_error.
type BodyFilter interface {
	Body(context.Context, *Transaction) io.Writer
}

// Finisher is a sink with a verdict. It is asked at the end of the message, or
// as soon as Write returned ErrDecided.
type Finisher interface {
	Finish(context.Context) Verdict
}

// MessageFilter is asked when the message is complete.
type MessageFilter interface {
	Message(context.Context, *Transaction) Verdict
}

// CommandFilter is asked for each verb outside of the mail transaction: VRFY,
// EXPN, ETRN, HELP, NOOP, AUTH and unknown ones. The verb is in upper case;
// args is empty for AUTH, whose exchange is secret.
type CommandFilter interface {
	Command(ctx context.Context, s *Session, verb, args string) Verdict
}

// Stager narrows the stages that a filter's methods tell, when they depend on
// its configuration.
type Stager interface {
	Stages() Stages
}

// Needer adds to the needs of its Kind, when they depend on its configuration.
type Needer interface {
	Needs() Needs
}

// Reader is a filter whose configuration says which facts it reads, besides
// those that its Kind tells. It is asked after the filters that set them; a fact
// that nobody sets is its own concern.
type Reader interface {
	Reads() []string
}

// Worker is a filter with work of its own beside the sessions. The chain calls
// Work once, in a goroutine, when it begins to serve; Work returns when ctx ends.
type Worker interface {
	Work(ctx context.Context)
}

// Sourcer is a filter made of files that it does not look at again by itself.
// When one of them changes, the whole configuration is to be loaded again.
type Sourcer interface {
	Files() []string
}

// What a sink's Write may return.
var (
	ErrSkip    = errors.New("no more of this message is needed")
	ErrDecided = errors.New("the verdict on this message is settled")
)

// StagesOf returns the stages at which f is to be asked.
func StagesOf(f Filter) Stages {
	var set Stages
	add := func(has bool, s Stage) {
		if has {
			set |= 1 << s
		}
	}
	_, ok := f.(ConnectFilter)
	add(ok, Connect)
	_, ok = f.(HeloFilter)
	add(ok, Helo)
	_, ok = f.(MailFilter)
	add(ok, Mail)
	_, ok = f.(RcptFilter)
	add(ok, Rcpt)
	_, ok = f.(DataFilter)
	add(ok, Data)
	_, ok = f.(HeaderFilter)
	add(ok, EOH)
	_, ok = f.(BodyFilter)
	add(ok, Body)
	_, ok = f.(MessageFilter)
	add(ok, EOM)
	_, ok = f.(CommandFilter)
	add(ok, Command)
	_, ok = f.(ConductFilter)
	add(ok, Conduct)
	if n, ok := f.(Stager); ok {
		set &= n.Stages()
	}
	return set
}
