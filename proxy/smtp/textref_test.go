package smtp_test

import (
	"bytes"
	"strings"
)

// The slow and obvious readings of a text, to compare with.

// strictEnd returns the offset behind the first end mark, or -1.
func strictEnd(wire string) int {
	i := strings.Index("\r\n"+wire, "\r\n.\r\n")
	if i < 0 {
		return -1
	}
	return i + len(".\r\n")
}

// laxEnd returns the offset behind the first line that is a single dot for a
// reader that drops the octets in ignored and ends a line at any of those in
// ends, or -1.
func laxEnd(wire, ignored, ends string) int {
	line := ""
	for i := range len(wire) {
		c := wire[i]
		switch {
		case strings.IndexByte(ignored, c) >= 0:
		case strings.IndexByte(ends, c) < 0:
			line += string(rune(c))
		case line == ".":
			return i + 1
		default:
			line = ""
		}
		if len(line) > 2 {
			line = "xx"
		}
	}
	return -1
}

// ends lists where every kind of reader finds the end of a text, each behind
// the LF of the mark.
func ends(wire string) (at []int) {
	at = append(at, strictEnd(wire))
	for _, kind := range []struct{ ignored, ends string }{
		{"", "\r\n"}, {"\r", "\n"}, {"\x00", "\r\n"}, {"\x00\r", "\n"}, {"\x00\n", "\r"},
	} {
		end := laxEnd(wire, kind.ignored, kind.ends)
		if end > 0 && end < len(wire) && wire[end-1] == '\r' && wire[end] == '\n' {
			end++
		}
		at = append(at, end)
	}
	return at
}

// unstuff takes a dot from each line that begins with one.
func unstuff(wire string) string {
	lines := strings.Split(wire, "\r\n")
	for i := range lines {
		lines[i] = strings.TrimPrefix(lines[i], ".")
	}
	return strings.Join(lines, "\r\n")
}

// fixed mends the content of a text octet by octet.
func fixed(content string, lines, nul bool) string {
	var b bytes.Buffer
	for i := 0; i < len(content); i++ {
		switch c := content[i]; {
		case c == '\r' && i+1 < len(content) && content[i+1] == '\n':
			b.WriteString("\r\n")
			i++
		case c == '\r' && lines:
			b.WriteByte(' ')
		case c == '\n' && lines:
			b.WriteString("\r\n")
		case c == 0 && nul:
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
