// Package sasl sees who logs in, by looking at an AUTH exchange (RFC 4954) that
// others lead. It keeps no password, token or digest, and writes no log.
//
// What it finds is what the client claims. It is true only once the upstream
// has answered 235, and only as far as the upstream checks it: see
// Exchange.User.
package sasl

// Exchange is one AUTH exchange. Its zero value is ready, and can be used for
// one exchange after another. It is not safe for concurrent use.
type Exchange struct {
	mechanism string
	user      string
	find      finder // for the next message of the client, nil when there is nothing to find
}

// Begin starts an exchange with what follows AUTH on the command line: the
// mechanism, and perhaps the client's first message, the initial response.
func (e *Exchange) Begin(args []byte) {
	word, response, found := cut(args)
	*e = Exchange{}
	m := mechanismOf(word)
	e.mechanism, e.find = m.name, m.find
	switch {
	case !found:
	case m.challenge:
		e.find = nil // a server must refuse it (RFC 4954 section 4)
	default:
		e.message(response)
	}
}

// Line takes the next line of the client, without its CRLF: base64, or "*"
// which cancels the exchange.
func (e *Exchange) Line(line []byte) {
	if string(line) == "*" {
		e.user, e.find = "", nil
		return
	}
	e.message(line)
}

// message looks for the name in the client's first message. No mechanism shows
// it later, and later lines may hold nothing but a password.
func (e *Exchange) message(line []byte) {
	find := e.find
	e.find = nil
	if find != nil {
		e.user = read(line, find)
	}
}

// Mechanism returns the name of the mechanism in upper case, "" if what the
// client wrote cannot be one (RFC 4422 section 3.1). Until the upstream has
// answered 235 it may be anything of that form.
func (e *Exchange) Mechanism() string { return e.mechanism }

// User returns who logs in, as the client writes it, "" as long as it does not
// show or if it is not fit to be shown: longer than 256 octets, not UTF-8, or
// with characters that are not printable. Cancelled exchanges have none.
//
// It is the authentication identity, whose secret the upstream checks. PLAIN
// and SCRAM can ask to act as someone else (RFC 4422 section 3.4.1); that is
// not looked at, since upstreams that leave it alone exist, and there whoever
// has one account could be shown as whoever they like. EXTERNAL and
// OAUTHBEARER show no other than that one, which an upstream must hold against
// the certificate or the token.
func (e *Exchange) User() string { return e.user }
