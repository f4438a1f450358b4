package milter

import (
	"strings"

	lib "github.com/d--j/go-milter"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
)

// Connect tells of the client.
func (s *session) Connect(_, _ string, port uint16, address string, m lib.Modifier) (*lib.Response, error) {
	s.connect()
	return s.answer(m, filters.Connect, func() chain.Decision {
		s.info.Client = clientAddr(m, address, port)
		s.info.Local = localAddr(m)
		s.info.ClientName = clientName(m)
		s.info.Daemon = m.Get(lib.MacroDaemonName)
		if name := m.Get(lib.MacroMTAFQDN); name != "" {
			s.info.Hostname = name
		}
		return s.run.Connect()
	})
}

// Helo tells of HELO or EHLO, and again after STARTTLS.
func (s *session) Helo(name string, m lib.Modifier) (*lib.Response, error) {
	return s.answer(m, filters.Helo, func() chain.Decision {
		s.info.TLS = tlsOf(m)
		d := s.run.Helo(name, true)
		s.info.HadEHLO = true
		return d
	})
}

// MailFrom tells of MAIL.
func (s *session) MailFrom(address, params string, m lib.Modifier) (*lib.Response, error) {
	return s.answer(m, filters.Mail, func() chain.Decision { return s.mail(address, params, m) })
}

func (s *session) mail(address, params string, m lib.Modifier) chain.Decision {
	if t := tlsOf(m); t.Version != "" {
		s.info.TLS = t
	}
	s.info.AuthType, s.info.AuthUser = m.Get(lib.MacroAuthType), m.Get(lib.MacroAuthAuthen)
	from, ok := readPath(address, params, m.Get(lib.MacroMailAddr), &s.arena)
	if !ok {
		return s.badAddress(filters.Mail, badSender)
	}
	declared, _ := from.Size() // the MTA has accepted what is none
	d := s.run.Mail(from, declared)
	s.noteQueueID(m)
	return d
}

// maxRcpts bounds the recipients of a message. MTAs have their own limit.
const maxRcpts = 50_000

// RcptTo tells of a recipient.
func (s *session) RcptTo(address, params string, m lib.Modifier) (*lib.Response, error) {
	return s.answer(m, filters.Rcpt, func() chain.Decision {
		s.noteQueueID(m)
		to, ok := readPath(address, params, m.Get(lib.MacroRcptAddr), &s.arena)
		switch {
		case !ok:
			return s.badAddress(filters.Rcpt, badRecipient)
		case len(s.run.Transaction().Rcpts) >= maxRcpts:
			return chain.Decision{Action: filters.TempFail, Reply: tooManyRcpts}
		}
		return s.run.Rcpt(to)
	})
}

// Data tells of DATA or the first BDAT.
func (s *session) Data(m lib.Modifier) (*lib.Response, error) {
	return s.answer(m, filters.Data, func() chain.Decision {
		s.noteQueueID(m)
		return s.run.Data()
	})
}

// Header tells of a field. It is judged with the others: see Headers.
func (s *session) Header(name, value string, m lib.Modifier) (*lib.Response, error) {
	return s.answer(m, filters.EOH, func() chain.Decision {
		s.content.add(name, value, m.Protocol()&lib.OptHeaderLeadingSpace != 0)
		return chain.Decision{}
	})
}

// Headers tells of the end of the header section.
func (s *session) Headers(m lib.Modifier) (*lib.Response, error) {
	return s.answer(m, filters.EOH, func() chain.Decision {
		s.noteQueueID(m)
		return s.content.headerDone(s.run, s.terms.wants)
	})
}

// BodyChunk tells of a piece of the body. When nobody reads on, the MTA may
// skip the others: this is the one event at which Sendmail takes that as meant.
func (s *session) BodyChunk(piece []byte, m lib.Modifier) (*lib.Response, error) {
	resp, err := s.answer(m, filters.Body, func() chain.Decision {
		if d := s.content.headerDone(s.run, s.terms.wants); d.Action != filters.Continue {
			return d
		}
		return s.run.Body(piece)
	})
	if resp == lib.RespContinue && s.over == nil && !s.run.Reading() && m.Protocol()&lib.OptSkip != 0 && m.Version() >= newest {
		resp = lib.RespSkip
	}
	return resp, err
}

// EndOfMessage asks for the verdict, and makes the edits.
func (s *session) EndOfMessage(m lib.Modifier) (*lib.Response, error) {
	return s.answer(m, filters.EOM, func() chain.Decision {
		s.noteQueueID(m)
		d := s.content.headerDone(s.run, s.terms.wants)
		if d.Action == filters.Continue {
			d = s.verdict(m)
		}
		if d.Action != filters.Continue && d.Action != filters.Quarantine {
			return d
		}
		return s.apply(m, d)
	})
}

// Unknown tells of a verb that the MTA does not know. What it leaves out is
// told with Blind.
func (s *session) Unknown(line string, m lib.Modifier) (*lib.Response, error) {
	return s.answer(m, filters.Command, func() chain.Decision {
		verb, args, _ := strings.Cut(strings.Trim(line, " \r\n"), " ")
		if verb == "" {
			return chain.Decision{}
		}
		verb = strings.ToUpper(verb)
		if verb == "AUTH" {
			args = "" // it is secret
		}
		return s.run.Command(verb, args)
	})
}

// noteQueueID keeps the message's name in the MTA, once there is one: Postfix
// makes it at the second recipient or at DATA.
func (s *session) noteQueueID(m lib.Macros) {
	if t := s.run.Transaction(); t != nil {
		if id := m.Get(lib.MacroQueueId); id != "" {
			t.QueueID = id
		}
	}
}
