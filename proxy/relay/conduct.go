package relay

import (
	"bytes"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/haproxy"
	"github.com/mailweir/mailweir/proxy/smtp"
)

// conduct is what a session keeps in mind to see how its client behaves. There
// is none unless the chain asks about that.
type conduct struct {
	secret bool // the client has said AUTH: what it sends may be a password
}

// maxSample is how much of a breach the filters are shown, in octets.
const maxSample = 64

// breach asks the chain about a breach. told reports that the client hears the
// answer now, in place of the reply to its command.
func (s *session) breach(b filters.Breach, octets []byte) (told bool, err error) {
	if s.conduct == nil {
		return false, nil
	}
	if s.conduct.secret {
		octets = nil
	}
	d := s.run.Conduct(b, shown(octets))
	if !d.Refuses() {
		return false, nil
	}
	err = s.refuse(d)
	if err == nil && b == filters.NotSMTP {
		err = s.hangUp(d) // nobody reads that reply, or will say a command
	}
	return true, err
}

// shown cuts octets to what the filters may see of them: nothing of what
// follows AUTH.
func shown(octets []byte) []byte {
	octets = octets[:min(len(octets), maxSample)]
	for i := range octets {
		if end := i + len(auth); end <= len(octets) && bytes.EqualFold(octets[i:end], auth) {
			return octets[:end]
		}
	}
	return octets
}

var auth = []byte("AUTH")

// line reads a command line. What is not SMTP shows in the first octet: a TLS
// handshake may have no line end, and its client waits for an answer.
func (s *session) line() ([]byte, error) {
	first, err := s.in.First()
	switch {
	case err != nil:
	case haproxy.IsHeader(first):
		err = s.refuseSpoof()
	case s.conduct != nil && len(first) > 0 && !beginsLine(first[0]):
		_, err = s.breach(filters.NotSMTP, first)
	}
	if err != nil {
		return nil, err
	}
	line, err := s.in.ReadLine(max(s.relay.CommandLine, maxAuthLine))
	if err == nil && haproxy.IsHeader(line) { // it has come in pieces
		err = s.refuseSpoof()
	}
	return line, err
}

func isLetter(c byte) bool { return 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' }

// beginsLine reports whether a line that begins so is worth to be read to its
// end: as a command, or as an empty one.
func beginsLine(c byte) bool { return isLetter(c) || c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// watch looks at a command and at what was sent behind it.
func (s *session) watch(cmd smtp.Command, line []byte) (told bool, err error) {
	if s.conduct == nil || len(cmd.Word)+len(cmd.Args) == 0 {
		return false, nil // an empty line is a mistake, and no more
	}
	s.conduct.secret = s.conduct.secret || cmd.Verb == smtp.AUTH
	switch {
	case cmd.Verb == smtp.Unknown && isForeign(cmd.Word):
		return s.breach(filters.NotSMTP, line)
	case s.in.Buffered() > 0 && !s.mayPrecede(cmd.Verb):
		return s.breach(filters.Pipelined, s.in.Pending())
	}
	return false, nil
}

// mayPrecede reports whether the client may send on before it has the reply to
// that verb (RFC 2920 section 3.1). Behind BDAT comes its chunk; what comes
// behind QUIT nobody reads.
func (s *session) mayPrecede(v smtp.Verb) bool {
	switch v {
	case smtp.BDAT, smtp.QUIT:
		return true
	case smtp.MAIL, smtp.RCPT, smtp.RSET, smtp.SEND, smtp.SOML, smtp.SAML:
		return s.offer.has("PIPELINING")
	}
	return false
}

// isForeign reports whether the first word of a line is of another protocol
// than SMTP: no word, the name of a header field, a method of HTTP.
func isForeign(word []byte) bool {
	if len(word) == 0 || !isLetter(word[0]) || bytes.IndexByte(word, ':') >= 0 {
		return true
	}
	switch string(bytes.ToUpper(word)) {
	case "GET", "POST", "PUT", "HEAD", "OPTIONS", "CONNECT", "DELETE", "PATCH", "TRACE":
		return true
	}
	return false
}

// watchAuth looks at a line of an AUTH exchange. None of it is shown.
func (s *session) watchAuth(fault smtp.Fault) (told bool, err error) {
	if fault == smtp.BareLF {
		told, err = s.breach(filters.BareLF, nil)
	}
	if !told && s.in.Buffered() > 0 {
		told, err = s.breach(filters.Pipelined, nil)
	}
	return told, err
}

// lastLook looks whether the client sends on although it owes to wait for the
// reply that is about to be written.
func (s *session) lastLook() (told bool, err error) {
	if s.conduct == nil {
		return false, nil
	}
	ahead := s.in.Pending()
	if len(ahead) == 0 {
		ahead = s.ahead()
	}
	if len(ahead) == 0 {
		return false, nil
	}
	return s.breach(filters.Pipelined, ahead)
}

// ahead returns the first octets of what has arrived and was not read. Below TLS
// that may be nothing that the client has said.
func (s *session) ahead() []byte {
	if something, _ := s.socket.Look(); !something {
		return nil
	}
	if s.layer == nil {
		return s.socket.Seen()
	}
	s.polling = true
	s.conn.SetReadDeadline(time.Time{}) // that of the last wait may have passed
	s.layer.Poll(true)
	err := s.in.Fill()
	s.layer.Poll(false)
	s.polling = false
	if err != nil {
		s.in.Release()
	}
	return s.in.Pending()
}

// lookBefore354 is lastLook where the reply is the upstream's 354, at the end
// of what is queued. A refusal takes its place; the upstream waits for a text
// then, and is given up. A refusal that is held is told after the text.
func (s *session) lookBefore354() (told bool, err error) {
	queued := s.out
	s.out = s.out[:s.tx.answer]
	told, err = s.lastLook()
	if told || err != nil {
		s.closeUpstream()
		s.tx.local = true
		return told, err
	}
	s.out = queued
	return false, nil
}
