package smtp

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/mailweir/mailweir/filters"
)

// maxText bounds a line of text in a reply of ours, so that the line keeps
// within 512 octets (RFC 5321 section 4.5.3.1.5).
const maxText = 490

// AppendReply appends the wire form of a reply: a line for each line of its
// text, cut where too long, each with code and enhanced status code. Octets
// that would break the line are made "?".
func AppendReply(dst []byte, r filters.Reply) []byte {
	text := r.Text
	for {
		line, rest, more := strings.Cut(text, "\n")
		if len(line) > maxText {
			n := runeStart(line, maxText)
			line, rest, more = line[:n], text[n:], true
		}
		dst = strconv.AppendUint(dst, uint64(r.Code), 10)
		if more {
			dst = append(dst, '-')
		} else {
			dst = append(dst, ' ')
		}
		if r.Enh[0] != 0 {
			for i, n := range r.Enh {
				if i > 0 {
					dst = append(dst, '.')
				}
				dst = strconv.AppendUint(dst, uint64(n), 10)
			}
			dst = append(dst, ' ')
		}
		start := len(dst)
		dst = append(dst, line...)
		mask(dst[start:])
		dst = append(dst, '\r', '\n')
		if !more {
			return dst
		}
		text = rest
	}
}

// runeStart returns n, or less where that would cut a character in two.
func runeStart(s string, n int) int {
	for i := n; i > n-utf8.UTFMax; i-- {
		if utf8.RuneStart(s[i]) {
			return i
		}
	}
	return n
}

// mask makes control characters harmless.
func mask(b []byte) {
	for i, c := range b {
		if c < ' ' && c != '\t' || c == 0x7f {
			b[i] = '?'
		}
	}
}

// Clean returns s as one line that is safe in commands, replies and logs:
// control characters are made "?".
func Clean(s string) string {
	b := []byte(s)
	mask(b)
	return string(b)
}
