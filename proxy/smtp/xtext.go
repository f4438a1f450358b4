package smtp

import "strings"

// BadXtext is what Xtext finds wrong.
const BadXtext Fault = "bad xtext"

// xchar reports whether c stands for itself in xtext.
func xchar(c byte) bool { return '!' <= c && c <= '~' && c != '+' && c != '=' }

// AppendXtext appends s as xtext (RFC 3461 section 4) to dst. Any octets can be
// told so, line ends too: what the reader must not get has to be refused before.
func AppendXtext(dst []byte, s string) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(s) {
		if c := s[i]; xchar(c) {
			dst = append(dst, c)
		} else {
			dst = append(dst, '+', digits[c>>4], digits[c&0xf])
		}
	}
	return dst
}

// Xtext decodes xtext. It takes nothing but what RFC 3461 section 4 allows:
// digits in upper case, and no octet bare that must be encoded; octets that
// need not be may be.
func Xtext(s string) (decoded string, err error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '+' {
			if i+2 >= len(s) {
				return "", BadXtext
			}
			high, low := unhex(s[i+1]), unhex(s[i+2])
			if high < 0 || low < 0 {
				return "", BadXtext
			}
			c = byte(high<<4 | low)
			i += 2
		} else if !xchar(c) {
			return "", BadXtext
		}
		b.WriteByte(c)
	}
	return b.String(), nil
}

// unhex returns the value of a digit, or -1.
func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
