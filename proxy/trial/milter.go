package trial

import (
	"bytes"
	"context"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
	"github.com/mailweir/mailweir/proxy/smtp"
)

// Milter is a listener that MTAs ask.
type Milter struct {
	Name     string
	Hostname string
	Chain    *chain.Chain // must fit what a milter offers
}

// ThroughMilter plays a session with an MTA that asks the milter at each step,
// and takes everything that the milter does not refuse.
func ThroughMilter(o Milter, s *Session) *Account {
	rec := new(recorder)
	m := &asking{Milter: o, info: &filters.Session{
		ID:       "trial",
		Listener: o.Name,
		Hostname: o.Hostname,
		Client:   s.Client,
		Local:    s.Local,
	}}
	m.run = rec.traced(o.Chain).Start(context.Background(), m.info)
	return play(m, s, rec)
}

// asking is an MTA that asks.
type asking struct {
	Milter
	info  *filters.Session
	run   *chain.Run
	arena smtp.Arena
	utf8  bool
}

func (m *asking) say(verb, args string) Reply {
	switch verb {
	case "":
		return m.answer(m.run.Connect(), 220, m.Hostname+" ESMTP of the imagined MTA")
	case "EHLO":
		d := m.run.Helo(args, true)
		m.info.HadEHLO = true
		return m.answer(d, 250, m.Hostname+"\nPIPELINING\n8BITMIME\nENHANCEDSTATUSCODES\nSMTPUTF8\nDSN\nSIZE 0")
	case "MAIL":
		from := new(filters.Path)
		if smtp.ParseMail([]byte(args), from, &m.arena) != nil {
			return spelt(filters.Reply{Code: 501, Text: "5.1.7 Bad address, says the imagined MTA"})
		}
		_, m.utf8 = from.Param("SMTPUTF8")
		declared, _ := from.Size() // it is of our own making
		return m.answer(m.run.Mail(from, declared), 250, "2.1.0 Ok, says the imagined MTA")
	case "RCPT":
		to := new(filters.Path)
		if smtp.ParseRcpt([]byte(args), m.utf8, to, &m.arena) != nil {
			return spelt(filters.Reply{Code: 501, Text: "5.1.3 Bad address, says the imagined MTA"})
		}
		return m.answer(m.run.Rcpt(to), 250, "2.1.5 Ok, says the imagined MTA")
	}
	return m.answer(m.run.Data(), 354, "Go ahead, says the imagined MTA")
}

func (m *asking) send(content []byte) Reply {
	d := m.judge(content)
	r := m.answer(d, 250, "2.0.0 Ok, says the imagined MTA: nothing is delivered")
	m.run.Done(chain.Result{Reply: filters.Reply{Code: uint16(r.Code)}})
	return r
}

// judge shows the chain a message, as the milter does.
func (m *asking) judge(content []byte) chain.Decision {
	section := content
	if end := bytes.Index(content, []byte("\r\n\r\n")); end >= 0 {
		section = content[:end+2]
	}
	if d := m.run.BeginBody(); d.Action != filters.Continue {
		return d
	}
	if d := m.run.Header(filters.ParseHeader(string(section))); d.Action != filters.Continue {
		return d
	}
	if d := m.run.Body(content); d.Action != filters.Continue {
		return d
	}
	return m.run.Message()
}

// answer is what the MTA tells its client.
func (m *asking) answer(d chain.Decision, code uint16, text string) Reply {
	if d.Refuses() && d.Reply.Code >= 400 {
		if d.Action == filters.Hangup { // the one reply after which MTAs close
			d.Reply.Code = 421
			if d.Reply.Enh[0] != 0 {
				d.Reply.Enh[0] = 4
			}
		}
		return spelt(d.Reply)
	}
	return spelt(filters.Reply{Code: code, Text: text})
}

// spelt is a reply on the wire.
func spelt(r filters.Reply) Reply {
	return replyOf(int(r.Code), smtp.AppendReply(nil, r))
}

func (m *asking) end() { m.run.Close() }
