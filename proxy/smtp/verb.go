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
	switch string(upper[:len(word)]) { // compiled to a search, without allocation
	case "HELO":
		return HELO
	case "EHLO":
		return EHLO
	case "MAIL":
		return MAIL
	case "RCPT":
		return RCPT
	case "DATA":
		return DATA
	case "BDAT":
		return BDAT
	case "RSET":
		return RSET
	case "NOOP":
		return NOOP
	case "HELP":
		return HELP
	case "VRFY":
		return VRFY
	case "EXPN":
		return EXPN
	case "ETRN":
		return ETRN
	case "AUTH":
		return AUTH
	case "STARTTLS":
		return STARTTLS
	case "QUIT":
		return QUIT
	case "SEND":
		return SEND
	case "SOML":
		return SOML
	case "SAML":
		return SAML
	case "TURN":
		return TURN
	case "ATRN":
		return ATRN
	case "XCLIENT":
		return XCLIENT
	case "XFORWARD":
		return XFORWARD
	}
	return Unknown
}
