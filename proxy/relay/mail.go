package relay

import (
	"strings"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/smtp"
	"github.com/mailweir/mailweir/proxy/upstream"
)

// mail begins a transaction.
func (s *session) mail(cmd smtp.Command) error {
	switch {
	case !s.greeted:
		s.answer(helloFirst)
		return nil
	case s.tx.open:
		// Its outcome decides whether this one is out of place.
		if err := s.settle(); err != nil {
			return err
		}
		if s.tx.open {
			s.answer(nestedMail)
			return nil
		}
	}
	if err := s.settle(); err != nil {
		return err
	}
	if s.upTx { // a refused chunk has ended the one before, but not there
		if err := s.resetUpstream(); err != nil {
			return err
		}
	}
	if s.mails++; s.relay.MaxTransactions > 0 && s.mails > s.relay.MaxTransactions {
		return s.endAt("too_many_transactions", tooManyMails)
	}
	s.tx.begin()
	from := s.tx.path()
	declared, fault := s.readMail(cmd, from)
	if fault.Code != 0 {
		s.answer(fault)
		return nil
	}
	d := s.run.Mail(from, declared)
	if d.Refuses() {
		return s.refuse(d)
	}
	return s.announce(from)
}

// announce tells the upstream of a sender, unless that is for later, or for
// nobody.
func (s *session) announce(from *filters.Path) error {
	s.tx.open = true
	_, s.tx.smtputf8 = from.Param("SMTPUTF8")
	body, _ := from.Param("BODY")
	s.tx.binary = strings.EqualFold(body, "BINARYMIME")
	if s.tx.local = s.run.Held(); s.tx.local {
		s.answer(senderOK)
		return nil
	}
	if s.tx.deferred = s.defers(); s.tx.deferred {
		s.answer(senderOK)
		return nil
	}
	if err := s.openFor(); err != nil {
		return err
	}
	if err := s.announceClient(); err != nil {
		return err
	}
	s.up.Path("MAIL FROM:", from)
	return s.ask(smtp.MAIL, nil)
}

// readMail reads a sender, and the size that is declared. fault is what is wrong.
func (s *session) readMail(cmd smtp.Command, from *filters.Path) (declared int64, fault filters.Reply) {
	if err := smtp.ParseMail(cmd.Args, from, &s.arena); err != nil {
		return 0, pathReply(err, badMail, badSender)
	}
	if key := s.offer.refusedParam(from); key != "" {
		return 0, with(badParam, key)
	}
	declared, ok := from.Size()
	if !ok {
		return 0, badParams
	}
	return declared, filters.Reply{}
}

// openFor finds an upstream for the transaction that has just begun.
func (s *session) openFor() error {
	s.tx.open = false // so that a lost connection can still be replaced
	err := s.needUpstream()
	s.tx.open = err == nil
	return err
}

// announceClient tells an upstream who the client is, where that holds for one
// transaction only. Nothing may be outstanding.
func (s *session) announceClient() error {
	if err := s.forward(); err != nil {
		return s.lostUpstream("XFORWARD", err)
	}
	return nil
}

func (s *session) forward() error {
	if s.group.Identity != upstream.XFORWARD {
		return nil
	}
	return s.up.Forward(s.info, &s.relay.Timeouts.Upstream)
}

// rcpt adds a recipient.
func (s *session) rcpt(cmd smtp.Command) error {
	if !s.tx.open || s.tx.chunks {
		s.answer(s.outOfPlace(needMail))
		return nil
	}
	if told, err := s.tooMany(); told || err != nil {
		return err
	}
	s.tx.asked++
	to := s.tx.path()
	if err := smtp.ParseRcpt(cmd.Args, s.tx.smtputf8, to, &s.arena); err != nil {
		s.tx.used--
		s.answer(pathReply(err, badRcpt, badRecipient))
		return nil
	}
	if key := s.offer.refusedParam(to); key != "" {
		s.tx.used--
		s.answer(with(badParam, key))
		return nil
	}
	if told, err := s.elsewhere(to); told || err != nil {
		s.tx.used--
		return err
	}
	d := s.run.Rcpt(to)
	if d.Refuses() {
		return s.refuse(d)
	}
	if s.run.Held() && !s.tx.local {
		if err := s.leaveUpstream(); err != nil {
			return err
		}
	}
	if s.tx.local {
		s.tx.accepted++
		s.answer(rcptOK)
		return nil
	}
	if s.knownRcpt(to) {
		return nil
	}
	if told, err := s.route(to); told || err != nil {
		return err
	}
	s.up.Path("RCPT TO:", to)
	s.tx.pending++
	return s.ask(smtp.RCPT, to)
}

// leaveUpstream takes the transaction away from the upstream: it will be
// discarded here.
func (s *session) leaveUpstream() error {
	if err := s.settle(); err != nil {
		return err
	}
	s.tx.local = true
	if s.up != nil {
		s.quitUpstream()
	}
	return nil
}

// outOfPlace is the answer to a command that needs another one before it.
func (s *session) outOfPlace(needed filters.Reply) filters.Reply {
	switch {
	case !s.greeted:
		return helloFirst
	case s.tx.chunks:
		return badSequence
	}
	return needed
}

// begin empties the transaction for the next one.
func (t *transaction) begin() {
	*t = transaction{paths: t.paths}
}

// path returns a path that lives as long as the transaction.
func (t *transaction) path() *filters.Path {
	if t.used == len(t.paths) {
		// The old ones stay where they are: they are pointed to.
		t.paths, t.used = make([]filters.Path, max(4, min(2*len(t.paths), 64))), 0
	}
	t.used++
	return &t.paths[t.used-1]
}

// pathReply words what is wrong with a path.
func pathReply(err error, syntax, address filters.Reply) filters.Reply {
	switch err {
	case smtp.BadSyntax:
		return syntax
	case smtp.BadParams:
		return badParams
	case smtp.NeedUTF8:
		return needUTF8
	}
	return address
}
