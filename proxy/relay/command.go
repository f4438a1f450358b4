package relay

import (
	"bytes"
	"slices"

	"github.com/mailweir/mailweir/filters/chain"
	"github.com/mailweir/mailweir/proxy/smtp"
)

// command serves one command line.
func (s *session) command(line []byte) error {
	cmd := smtp.ParseCommand(line)
	if len(line)+2 > s.relay.CommandLine && cmd.Verb != smtp.AUTH {
		s.answer(with(badLine, string(smtp.LineTooLong)))
		return nil
	}
	if told, err := s.watch(cmd, line); told || err != nil {
		return err
	}
	if s.mustEncrypt(cmd.Verb) {
		s.answer(needTLS)
		return nil
	}
	switch cmd.Verb {
	case smtp.MAIL:
		return s.mail(cmd)
	case smtp.RCPT:
		return s.rcpt(cmd)
	case smtp.DATA:
		return s.data(cmd)
	case smtp.BDAT:
		return s.bdat(cmd)
	}
	// None of these may be followed by others in a group (RFC 2920 section
	// 3.1), or changes what the others mean.
	if err := s.settle(); err != nil {
		return err
	}
	switch cmd.Verb {
	case smtp.HELO, smtp.EHLO:
		return s.helo(cmd)
	case smtp.RSET:
		return s.rset(cmd)
	case smtp.QUIT:
		return s.quit(cmd)
	case smtp.AUTH:
		return s.auth(cmd)
	case smtp.STARTTLS:
		return s.starttls(cmd)
	case smtp.XCLIENT:
		return s.xclient(cmd)
	case smtp.NOOP, smtp.HELP, smtp.VRFY, smtp.EXPN, smtp.ETRN:
		return s.other(cmd)
	}
	return s.extra(cmd)
}

// rset ends the transaction on both sides.
func (s *session) rset(cmd smtp.Command) error {
	if len(cmd.Args) > 0 {
		s.say(noArgs)
		return nil
	}
	local := s.tx.local
	s.endTransaction(chain.Result{Reason: "reset"})
	if err := s.forgetLeft(); err != nil {
		return err
	}
	if s.up == nil || local {
		s.say(okay)
		return nil
	}
	return s.pass(cmd.Verb, nil)
}

// quit ends the session. The upstream says goodbye, if it is there.
func (s *session) quit(cmd smtp.Command) error {
	if len(cmd.Args) > 0 {
		s.say(noArgs)
		return nil
	}
	s.endTransaction(chain.Result{Reason: "quit"})
	s.goodbye = true
	if s.up != nil && s.mayKeep() {
		s.quitUpstream()
		s.say(goodbye)
		return errEnd
	}
	if err := s.forgetLeft(); err != nil {
		return err
	}
	if s.up == nil {
		s.say(goodbye)
		return errEnd
	}
	if err := s.pass(cmd.Verb, nil); err != nil {
		return err
	}
	s.closeUpstream()
	return errEnd
}

// other asks the chain about a verb outside of the transaction and passes it on.
func (s *session) other(cmd smtp.Command) error {
	harmless := cmd.Verb == smtp.NOOP || cmd.Verb == smtp.HELP
	if s.run.Held() && harmless {
		return s.otherHere(cmd) // what is held is for its stage
	}
	if d := s.run.Command(cmd.Verb.String(), string(cmd.Args)); d.Action != 0 {
		return s.refuse(d)
	}
	if s.run.Held() || !s.greeted {
		return s.otherHere(cmd)
	}
	if cmd.Verb == smtp.NOOP && (s.up == nil || s.astray()) {
		s.say(okay)
		return nil
	}
	if err := s.needUpstream(); err != nil {
		return err
	}
	return s.pass(cmd.Verb, cmd.Args)
}

// otherHere answers while there is no upstream to ask.
func (s *session) otherHere(cmd smtp.Command) error {
	switch cmd.Verb {
	case smtp.NOOP:
		s.say(okay)
	case smtp.HELP:
		s.say(help)
	default:
		s.say(helloFirst)
	}
	return nil
}

// extra serves verbs that are not relayed unless the configuration lists them.
func (s *session) extra(cmd smtp.Command) error {
	verb := string(bytes.ToUpper(cmd.Word))
	if d := s.run.Command(verb, string(cmd.Args)); d.Action != 0 {
		return s.refuse(d)
	}
	switch {
	case !slices.Contains(s.relay.RelayVerbs, verb):
		if cmd.Verb == smtp.Unknown {
			s.say(unknownVerb)
		} else {
			s.say(noSuchVerb)
		}
		return nil
	case !s.greeted || s.run.Held():
		s.say(helloFirst)
		return nil
	}
	if err := s.needUpstream(); err != nil {
		return err
	}
	s.upOdd = true
	s.up.Command(verb, cmd.Args)
	s.asks = append(s.asks, ask{verb: cmd.Verb})
	return s.settle()
}

// pass sends a command by itself and relays its reply.
func (s *session) pass(verb smtp.Verb, args []byte) error {
	s.up.Command(verb.String(), args)
	s.asks = append(s.asks, ask{verb: verb})
	return s.settle()
}

// refuse gives the chain's answer, and ends the session if that is what it is.
func (s *session) refuse(d chain.Decision) error {
	s.answer(d.Reply)
	if d.Reply.Code != 421 && d.Reply.Code != 521 {
		return nil
	}
	return s.hangUp(d)
}

// hangUp ends the session behind a refusal.
func (s *session) hangUp(d chain.Decision) error {
	if err := s.settle(); err != nil {
		return err
	}
	s.endTransaction(chain.Result{Reply: d.Reply, Reason: "hangup"})
	s.endsBy(endRefused)
	return errEnd
}
