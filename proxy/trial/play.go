package trial

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mailweir/mailweir/filters"
)

// dialogue is a server that can be talked to as a client does, step by step.
type dialogue interface {
	// say says a command and returns the reply; with "" it only hears the
	// greeting.
	say(verb, args string) Reply

	// send sends a message after DATA.
	send(content []byte) Reply

	// end closes the connection, and returns when the other side has.
	end()
}

// play talks through a session.
func play(d dialogue, s *Session, rec *recorder) *Account {
	p := player{dialogue: d, rec: rec, account: new(Account)}
	p.session(s)
	d.end()
	a := p.account
	a.Facts = slices.Concat(rec.ofSession, rec.ofTransaction)
	a.SetAside = rec.quarantines && a.End == Accepted
	if a.End == Accepted && rec.discards {
		p.discarded()
	}
	if a.End == Accepted {
		a.Edits = rec.edits
	}
	return a
}

type player struct {
	dialogue
	rec     *recorder
	account *Account
}

// session talks until the end, or until the client is refused.
func (p *player) session(s *Session) {
	for _, to := range s.To {
		p.account.Recipients = append(p.account.Recipients, Recipient{Path: to})
	}
	content := wireForm(s.Message)
	r := p.step("", "")
	if !r.Refused() {
		r = p.step("EHLO", s.Helo)
	}
	offer := r
	if !r.Refused() {
		r = p.step("MAIL", "FROM:"+s.From+params(offer, s, content))
	}
	if !r.Refused() {
		r = p.recipients(s)
	}
	if !r.Refused() {
		r = p.step("DATA", "")
	}
	if r.Code == 354 {
		r = p.note(ofMessage, fmt.Sprintf("(%d octets of message)", len(content)), func() Reply { return p.send(content) })
	}
	p.finish(r)
}

// recipients names the recipients. It returns the reply to one that was taken,
// or else the last one.
func (p *player) recipients(s *Session) (last Reply) {
	var taken Reply
	for i, to := range s.To {
		last = p.step("RCPT", "TO:"+to)
		if last.closes() {
			return last
		}
		if last.Refused() {
			p.account.Recipients[i].Reply = last
		} else {
			taken = last
		}
	}
	if taken.Code != 0 {
		return taken
	}
	return last
}

// finish gives all recipients that have not been refused the last reply.
func (p *player) finish(last Reply) {
	a := p.account
	for i := range a.Recipients {
		r := &a.Recipients[i]
		if r.Reply.Code == 0 {
			r.Reply = last
		}
		r.End = endOf(r.Reply)
	}
	a.End = endOf(last)
}

// discarded corrects what a client cannot know.
func (p *player) discarded() {
	p.account.End = Discarded
	for i := range p.account.Recipients {
		if r := &p.account.Recipients[i]; r.End == Accepted {
			r.End = Discarded
		}
	}
}

func (p *player) step(verb, args string) Reply {
	said := strings.TrimRight(verb+" "+args, " ")
	return p.note(stagesOf[verb], said, func() Reply { return p.say(verb, args) })
}

// The stages that a step is about.
var (
	stagesOf = map[string]filters.Stages{
		"":     filters.StageSet(filters.Connect),
		"EHLO": filters.StageSet(filters.Helo),
		"MAIL": filters.StageSet(filters.Mail),
		"RCPT": filters.StageSet(filters.Rcpt),
		"DATA": filters.StageSet(filters.Data),
	}
	ofMessage = filters.StageSet(filters.EOH, filters.Body, filters.EOM)
)

// note writes a step down.
func (p *player) note(stages filters.Stages, said string, do func() Reply) Reply {
	r := do()
	step := Step{Said: said, Reply: r}
	step.Asked, step.Note = p.rec.take(stages, r)
	p.account.Steps = append(p.account.Steps, step)
	return r
}

// params are the parameters that a client gives with MAIL when the server
// offers them (RFC 1870, RFC 6152, RFC 6531).
func params(offer Reply, s *Session, content []byte) string {
	words := ""
	if offer.offers("SIZE") {
		words += fmt.Sprintf(" SIZE=%d", len(content))
	}
	if !isASCII(string(content)) && offer.offers("8BITMIME") {
		words += " BODY=8BITMIME"
	}
	if !isASCII(s.From+strings.Join(s.To, "")) && offer.offers("SMTPUTF8") {
		words += " SMTPUTF8"
	}
	return words
}

// offers reports whether a reply to EHLO has that keyword.
func (r Reply) offers(keyword string) bool {
	return slices.ContainsFunc(r.Lines, func(line string) bool {
		name, _, _ := strings.Cut(line[min(4, len(line)):], " ")
		return strings.EqualFold(name, keyword)
	})
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c > 0x7e })
}
