package resolver

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mailweir/mailweir/filters"
)

// Limits of a name in octets, without its final dot (RFC 1035 section 2.3.4,
// where the lengths of the labels and the root count too).
const (
	maxName  = 253
	maxLabel = 63
)

// key is what answers and questions in flight are filed under.
type key struct {
	name string // in lower case, without its final dot
	typ  filters.RecordType
}

// foldName returns the name as it stands in a key. The DNS folds the letters
// of ASCII alone (RFC 4343 section 3). It does not allocate for a name in
// lower case.
func foldName(name string) string {
	name = strings.TrimSuffix(name, ".")
	for i := range len(name) {
		if isUpper(name[i]) {
			return strings.Map(fold, name)
		}
	}
	return name
}

func fold(c rune) rune {
	if 'A' <= c && c <= 'Z' {
		c |= 0x20
	}
	return c
}

func isUpper(c byte) bool { return 'A' <= c && c <= 'Z' }

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// unaskable tells why a name in a key is not put to servers; nil if it is.
func unaskable(k key) (detail string, reason error) {
	if knownType(k.typ) == "" {
		return "not asked: nobody here reads records of this type", filters.ErrServFail
	}
	if len(k.name) == 0 || len(k.name) > maxName {
		return "not asked: a name has 1 to 253 octets", filters.ErrNXDomain
	}
	for label := range strings.SplitSeq(k.name, ".") {
		if label == "" || len(label) > maxLabel {
			return "not asked: a label has 1 to 63 octets", filters.ErrNXDomain
		}
	}
	for i := range len(k.name) {
		switch c := k.name[i]; {
		case c >= utf8.RuneSelf:
			// The name may well exist: whoever asks has not converted it.
			return "not asked: labels beyond ASCII must be in the form of RFC 5890 section 2.3.2.1, xn--", filters.ErrServFail
		case c <= ' ' || c == 0x7f || c == '\\':
			return "not asked: no domain name has spaces, control characters or backslashes", filters.ErrNXDomain
		}
	}
	return "", nil
}

// hostName reports whether a name can be that of a host: letters, digits,
// hyphens and underscores. Others are not worth their risk in logs and replies.
func hostName(name string) bool {
	if name == "" || len(name) > maxName {
		return false
	}
	for i := range len(name) {
		switch c := name[i]; {
		case isLetter(c), '0' <= c && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}

// cleanText puts a question mark in place of each control character (C0, DEL,
// C1) and of each octet that is not UTF-8.
func cleanText(text string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || c == utf8.RuneError {
			return '?'
		}
		return c
	}, text)
}
