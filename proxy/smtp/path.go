package smtp

import (
	"bytes"
	"net/netip"
	"strings"
	"unicode/utf8"

	"github.com/mailweir/mailweir/filters"
)

// What ParseMail and ParseRcpt find wrong.
const (
	BadSyntax  Fault = "the command lacks its FROM:<...> or TO:<...>"
	BadAddress Fault = "bad address syntax"
	BadParams  Fault = "bad parameter syntax"
	NeedUTF8   Fault = "address needs SMTPUTF8"
)

// ParseMail reads the arguments of MAIL (RFC 5321 section 4.1.1.2) into p. An
// address that is not ASCII is taken only with the SMTPUTF8 parameter (RFC
// 6531). Its strings come from the arena.
func ParseMail(args []byte, p *filters.Path, a *Arena) error {
	if err := parse("FROM:", args, p, a); err != nil {
		return err
	}
	_, smtputf8 := p.Param("SMTPUTF8")
	return allowed(p, smtputf8)
}

// ParseRcpt reads the arguments of RCPT (RFC 5321 section 4.1.1.3) into p.
// smtputf8 tells whether MAIL had that parameter.
func ParseRcpt(args []byte, smtputf8 bool, p *filters.Path, a *Arena) error {
	if err := parse("TO:", args, p, a); err != nil {
		return err
	}
	if p.Null() {
		return BadAddress
	}
	return allowed(p, smtputf8)
}

// allowed refuses UTF-8 to who did not announce it, in parameters too: an
// ORCPT may hold it (RFC 6533 section 3).
func allowed(p *filters.Path, smtputf8 bool) error {
	if !smtputf8 && !(ascii(p.Raw) && ascii(p.Params)) {
		return NeedUTF8
	}
	return nil
}

func parse(prefix string, args []byte, p *filters.Path, a *Arena) error {
	*p = filters.Path{}
	if len(args) < len(prefix) || !strings.EqualFold(string(args[:len(prefix)]), prefix) {
		return BadSyntax
	}
	rest := bytes.TrimLeft(args[len(prefix):], " ")
	if len(rest) == 0 || rest[0] != '<' {
		return BadSyntax
	}
	end := pathEnd(rest)
	if end < 0 {
		return BadAddress
	}
	path, params := rest[:end], rest[end:]
	if len(params) > 0 && params[0] != ' ' {
		return BadAddress
	}
	if !parsePath(path, p, a) {
		return BadAddress
	}
	params = bytes.Trim(params, " ")
	if !utf8.Valid(params) || !goodParams(params) {
		return BadParams
	}
	p.Params = a.String(params)
	return nil
}

// pathEnd returns the length of the path in angle brackets that b begins with,
// or -1. Within quotes an angle bracket is only a character.
func pathEnd(b []byte) int {
	quoted := false
	for i := 1; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == '>' && !quoted:
			return i + 1
		case c == '<' && !quoted:
			return -1
		}
	}
	return -1
}

// parsePath reads a path with its angle brackets. A source route is ignored,
// as RFC 5321 appendix C has it.
func parsePath(path []byte, p *filters.Path, a *Arena) bool {
	mailbox := path[1 : len(path)-1]
	if len(mailbox) == 0 {
		p.Raw = "<>"
		return true
	}
	if mailbox[0] == '@' {
		route, rest, ok := bytes.Cut(mailbox, []byte(":"))
		if !ok || !goodRoute(route) {
			return false
		}
		mailbox = rest
	}
	local, domain, ok := cutMailbox(mailbox)
	if !ok || !utf8.Valid(mailbox) {
		return false
	}
	p.Raw = a.join("<", mailbox, ">")
	p.Local = p.Raw[1 : 1+len(local)]
	p.Domain = p.Raw[len(p.Raw)-1-len(domain) : len(p.Raw)-1]
	if local[0] == '"' {
		p.Local = unquote(p.Local)
	}
	return true
}

func goodRoute(route []byte) bool {
	for hop := range bytes.SplitSeq(route, []byte(",")) {
		if len(hop) < 2 || hop[0] != '@' || !goodDomain(hop[1:]) {
			return false
		}
	}
	return true
}

// cutMailbox cuts a mailbox at its "@". A mailbox without a domain is taken
// too, for the upstream to judge: <postmaster> is one that everybody must take.
func cutMailbox(b []byte) (local, domain []byte, ok bool) {
	n := localEnd(b)
	if n <= 0 {
		return nil, nil, false
	}
	if n == len(b) {
		return b, nil, true
	}
	local, domain = b[:n], b[n+1:]
	return local, domain, b[n] == '@' && goodDomain(domain)
}

// localEnd returns the length of the local-part that b begins with, 0 if
// there is none. Dots may stand anywhere: such addresses exist.
func localEnd(b []byte) int {
	if len(b) == 0 {
		return 0
	}
	if b[0] == '"' {
		return quotedEnd(b)
	}
	for i, c := range b {
		if c == '@' {
			return i
		}
		if !atext(c) && c != '.' {
			return 0
		}
	}
	return len(b)
}

// quotedEnd returns the length of the quoted-string that b begins with, or 0.
func quotedEnd(b []byte) int {
	for i := 1; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			return i + 1
		case c < ' ' || c == 0x7f:
			return 0
		case c == '\\':
			i++
			if i == len(b) || b[i] < ' ' || b[i] > '~' {
				return 0
			}
		}
	}
	return 0
}

// unquote takes a quoted-string apart.
func unquote(s string) string {
	s = s[1 : len(s)-1]
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// atext reports whether c may stand in an atom (RFC 5322 section 3.2.3, with
// the UTF-8 of RFC 6531).
func atext(c byte) bool {
	return c >= 0x80 || alnum(c) || strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0
}

func alnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// goodDomain reports whether b is a domain or an address literal. Underscores
// are no part of the grammar, but of the field. A label of more than 63 octets
// (RFC 1035 section 2.3.4) cannot be asked for; one in UTF-8 is measured only
// when it is encoded.
func goodDomain(b []byte) bool {
	if len(b) == 0 || len(b) > 255 {
		return false
	}
	if b[0] == '[' {
		return goodLiteral(string(b))
	}
	for label := range bytes.SplitSeq(b, []byte(".")) {
		if !goodLabel(label) {
			return false
		}
	}
	return true
}

func goodLabel(b []byte) bool {
	wide := false
	for _, c := range b {
		if c != '-' && c != '_' && !alnum(c) && c < 0x80 {
			return false
		}
		wide = wide || c >= 0x80
	}
	return len(b) > 0 && (len(b) <= 63 || wide)
}

// goodLiteral reports whether s is an address literal for IPv4 or IPv6 (RFC
// 5321 section 4.1.3).
func goodLiteral(s string) bool {
	if !strings.HasSuffix(s, "]") {
		return false
	}
	s = s[1 : len(s)-1]
	const tag = "IPv6:"
	if len(s) > len(tag) && strings.EqualFold(s[:len(tag)], tag) {
		addr, err := netip.ParseAddr(s[len(tag):])
		return err == nil && addr.Is6() && addr.Zone() == ""
	}
	addr, err := netip.ParseAddr(s)
	return err == nil && addr.Is4()
}

// goodParams reports whether b is a list of parameters, none of them twice:
// two readers could take different ones.
func goodParams(b []byte) bool {
	for i, rest := 0, b; len(rest) > 0; i++ {
		var word []byte
		word, rest, _ = bytes.Cut(rest, []byte(" "))
		key, value, assigned := bytes.Cut(word, []byte("="))
		if !goodKeyword(key) || assigned && !goodValue(value) || i >= maxParams {
			return false
		}
		if hasKeyword(rest, key) {
			return false
		}
	}
	return true
}

// maxParams bounds the parameters of a command: no more are defined.
const maxParams = 32

func hasKeyword(params, key []byte) bool {
	for len(params) > 0 {
		var word []byte
		word, params, _ = bytes.Cut(params, []byte(" "))
		other, _, _ := bytes.Cut(word, []byte("="))
		if bytes.EqualFold(key, other) {
			return true
		}
	}
	return false
}

func goodKeyword(b []byte) bool {
	for i, c := range b {
		if !alnum(c) && (c != '-' || i == 0) {
			return false
		}
	}
	return len(b) > 0
}

// goodValue takes any printable octets: esmtp-value (RFC 5321 section 4.1.2)
// and "=" besides, which some clients do not encode.
func goodValue(b []byte) bool {
	for _, c := range b {
		if c <= ' ' || c == 0x7f {
			return false
		}
	}
	return len(b) > 0
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
