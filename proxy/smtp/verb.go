package smtp

// Verb is the first word of a command.
type Verb uint8

// The verbs that mailweir knows. Unknown stands for all others.
const (
	Unknown Verb = iota
	HELO
	EHLO
	MAIL
	RCPT
	DATA
	BDAT
	RSET
	NOOP
	HELP
	VRFY
	EXPN
	ETRN
	AUTH
	STARTTLS
	QUIT
	SEND
	SOML
	SAML
	TURN
	ATRN
	XCLIENT
	XFORWARD
)

var verbNames = [...]string{"UNKNOWN", "HELO", "EHLO", "MAIL", "RCPT", "DATA", "BDAT", "RSET", "NOOP", "HELP", "VRFY",
	"EXPN", "ETRN", "AUTH", "STARTTLS", "QUIT", "SEND", "SOML", "SAML", "TURN", "ATRN", "XCLIENT", "XFORWARD"}

// String returns the verb in upper case.
func (v Verb) String() string { return verbNames[v] }

// longestVerb bounds what is compared: longer words are Unknown.
const longestVerb = len("STARTTLS")

// parseVerb recognises a verb in any case, without allocating.
func parseVerb(word []byte) Verb {
	if len(word) > longestVerb {
		return Unknown
	}
	var upper [longestVerb]byte
	for i, c := range word {
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		upper[i] = c
	}
	for v := HELO; v <= XFORWARD; v++ {
		if string(upper[:len(word)]) == verbNames[v] {
			return v
		}
	}
	return Unknown
}
