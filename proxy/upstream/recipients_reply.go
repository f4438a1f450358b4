package upstream

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/mailweir/mailweir/filters"
)

// aboutRecipient is what a reply to RCPT says about the address, whoever asks.
type aboutRecipient uint8

const (
	recipientUnclear aboutRecipient = iota // the reply is about the client, the sender or the moment, or vague
	recipientExists
	recipientUnknown // and that will last
)

// recipientStatus reads a reply. Only enhanced status codes say enough (RFC
// 3463 sections 3.2 and 3.3, and IANA's registry of them): 550 alone may be
// about the client. Of addresses that are unknown for good speak
//
//	5.1.1   no such mailbox
//	5.1.3   not the syntax of one
//	5.1.6   moved, without forwarding
//	5.1.10  null MX (RFC 7505); Exchange: no such recipient
//
// Not of them: 5.1.2 is about a domain's DNS, which changes, and one bad domain
// has endless addresses; 5.1.0 and 5.1.4 are vague; 5.1.7 to 5.1.9 are about
// the sender or the next MTA. Subject 2 is about a mailbox that is there: it is
// full, or closed until its owner comes back (5.2.1); but X.2.0 is vague, and
// what greylisting often says.
func recipientStatus(reply filters.Reply) aboutRecipient {
	class := reply.Code / 100
	if class == 2 {
		return recipientExists
	}
	enh := reply.Enh
	if enh[0] == 0 {
		enh = enhancedOf(reply.Text)
	}
	switch {
	case enh[0] != class:
		return recipientUnclear
	case enh[1] == 2 && enh[2] != 0:
		return recipientExists
	case class != 5 || enh[1] != 1:
		return recipientUnclear
	}
	switch enh[2] {
	case 1, 3, 6, 10:
		return recipientUnknown
	}
	return recipientUnclear
}

// enhancedOf returns the enhanced status code that a text begins with (RFC 2034
// section 4), zero if it does not begin with one. The first line's counts.
func enhancedOf(text string) (enh [3]uint16) {
	word := text
	if i := strings.IndexAny(text, " \t\n"); i >= 0 {
		word = text[:i]
	}
	for i := range enh {
		number, rest, found := strings.Cut(word, ".")
		n, ok := subcode(number)
		if !ok || found != (i < len(enh)-1) {
			return [3]uint16{}
		}
		enh[i], word = n, rest
	}
	return enh
}

// subcode reads one to three digits, without zeros before others (RFC 3463
// section 2).
func subcode(s string) (n uint16, ok bool) {
	if len(s) > 3 || len(s) > 1 && s[0] == '0' {
		return 0, false
	}
	v, err := strconv.ParseUint(s, 10, 16)
	return uint16(v), err == nil
}

// maxRemembered is the longest text of a reply that is remembered, in octets:
// two full lines (RFC 5321 section 4.5.3.1.5). Of longer ones the beginning is.
const maxRemembered = 1024

// boundedText returns a text, or as much of it as is remembered.
func boundedText(text string) string {
	if len(text) <= maxRemembered {
		return strings.Clone(text)
	}
	n := maxRemembered
	for n > maxRemembered-utf8.UTFMax && !utf8.RuneStart(text[n]) {
		n--
	}
	return strings.TrimRight(strings.Clone(text[:n]), "\n")
}
