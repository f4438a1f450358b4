package headers

import (
	"mime"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	columns = 78  // of a line, where words let it (RFC 5322 section 2.1.1)
	maxWord = 900 // octets; a line has no more than 998 with name and CRLF
	maxTok  = 64  // characters of a name in the trace field
)

// clean makes one space of white space and line ends, and masks control
// characters and what is no UTF-8.
func clean(text string) string {
	text = strings.ToValidUTF8(strings.ReplaceAll(text, "\r\n", "\n"), "?")
	words := strings.FieldsFunc(text, func(c rune) bool { return c == ' ' || c == '\t' || c == '\n' })
	return strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return '?'
		}
		return c
	}, strings.Join(words, " "))
}

// encode makes encoded words (RFC 2047) of words that are not ASCII. Those that
// follow each other become one text: readers drop the space between two encoded
// words. Base64 may stand wherever encoded words may.
func encode(text string) string {
	words := strings.Split(text, " ")
	var out []string
	for len(words) > 0 {
		n := 0
		for n < len(words) && !isASCII(words[n]) {
			n++
		}
		if n == 0 {
			out, words = append(out, words[0]), words[1:]
			continue
		}
		out = append(out, mime.BEncoding.Encode("utf-8", strings.Join(words[:n], " ")))
		words = words[n:]
	}
	return strings.Join(out, " ")
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(c rune) bool { return c >= utf8.RuneSelf }) < 0
}

// fold breaks a clean text into lines, each but the first with a space in front.
func fold(name Name, text string) string {
	var b strings.Builder
	col := len(name) + len(":")
	for word := range strings.SplitSeq(text, " ") {
		for word != "" {
			piece := word[:cut(word)]
			word = word[len(piece):]
			if b.Len() > 0 && col+1+len(piece) > columns {
				b.WriteString("\r\n")
				col = 0
			}
			if b.Len() > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(piece)
			col += 1 + len(piece)
		}
	}
	return b.String()
}

// cut returns the length of the word, or of as much of it as a line may have.
func cut(word string) int {
	if len(word) <= maxWord {
		return len(word)
	}
	n := maxWord
	for !utf8.RuneStart(word[n]) {
		n--
	}
	return n
}

// token makes a name one word of the trace field that nobody can take for
// another item.
func token(name string) string {
	var b strings.Builder
	n := 0
	for _, c := range name {
		if n++; n > maxTok {
			break
		}
		if c < utf8.RuneSelf && (unicode.IsLetter(c) || unicode.IsDigit(c) || strings.ContainsRune(".:%_/[]-", c)) {
			b.WriteRune(c)
		} else {
			b.WriteByte('?')
		}
	}
	if n == 0 {
		return "unknown"
	}
	return b.String()
}
