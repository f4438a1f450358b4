package sasl

import "bytes"

// mechanism is what is known of one.
type mechanism struct {
	name      string
	find      finder // nil for one that shows no name
	challenge bool   // the server speaks first
}

// mechanisms are those that are known by name. Those without a finder are
// listed to have their names at hand.
var mechanisms = [...]mechanism{
	{name: "PLAIN", find: plain},
	{name: "LOGIN", find: whole}, // draft-murchison-sasl-login-00: the name, then the password
	{name: "CRAM-MD5", find: cramMD5, challenge: true},
	{name: "XOAUTH2", find: xoauth2},
	{name: "OAUTHBEARER", find: oauthBearer},
	{name: "EXTERNAL", find: whole}, // RFC 4422 appendix A
	{name: "SCRAM-SHA-1", find: scram},
	{name: "SCRAM-SHA-1-PLUS", find: scram},
	{name: "SCRAM-SHA-256", find: scram},
	{name: "SCRAM-SHA-256-PLUS", find: scram},
	{name: "ANONYMOUS"},
	{name: "DIGEST-MD5"},
	{name: "GSSAPI"},
	{name: "GS2-KRB5"},
	{name: "NTLM"},
}

// maxMechanism is the length of the longest name (RFC 4422 section 3.1).
const maxMechanism = 20

// mechanismOf finds a mechanism by its name in any case, the zero mechanism if
// it cannot be one. It allocates for one that is not known.
func mechanismOf(word []byte) mechanism {
	if len(word) > maxMechanism {
		return mechanism{}
	}
	var letters [maxMechanism]byte
	for i, c := range word {
		switch {
		case 'a' <= c && c <= 'z':
			c -= 'a' - 'A'
		case 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return mechanism{}
		}
		letters[i] = c
	}
	upper := letters[:len(word)]
	for i := range mechanisms {
		if string(upper) == mechanisms[i].name {
			return mechanisms[i]
		}
	}
	m := mechanism{name: string(upper)}
	if bytes.HasPrefix(upper, []byte("SCRAM-")) {
		m.find = scram
	}
	return m
}

// cut parts what follows AUTH at the first white space. found reports that
// there is an initial response, which "=" gives as empty (RFC 4954 section 4).
func cut(args []byte) (word, response []byte, found bool) {
	const space = " \t"
	args = bytes.Trim(args, space)
	i := bytes.IndexAny(args, space)
	if i < 0 {
		return args, nil, false
	}
	response = bytes.TrimLeft(args[i:], space)
	if string(response) == "=" {
		response = nil
	}
	return args[:i], response, true
}
