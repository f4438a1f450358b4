package smtp

import (
	"bytes"
	"strconv"
	"strings"
)

// Chunk is the argument of BDAT (RFC 3030 section 2).
type Chunk struct {
	Size int64 // octets that follow the command
	Last bool
}

// ParseChunk reads the arguments of BDAT.
func ParseChunk(args []byte) (c Chunk, ok bool) {
	size, rest, more := bytes.Cut(args, []byte(" "))
	if more {
		if !isLast(bytes.TrimLeft(rest, " ")) {
			return c, false
		}
		c.Last = true
	}
	if len(size) == 0 || len(size) > 18 {
		return c, false
	}
	for _, d := range size {
		if d < '0' || d > '9' {
			return c, false
		}
		c.Size = c.Size*10 + int64(d-'0')
	}
	return c, true
}

// isLast compares without Unicode: EqualFold takes a long s for an S.
func isLast(word []byte) bool {
	const last = "LAST"
	return len(word) == len(last) && strings.EqualFold(string(word), last)
}

// AppendChunk appends the command line for a chunk.
func AppendChunk(dst []byte, c Chunk) []byte {
	dst = append(dst, "BDAT "...)
	dst = strconv.AppendInt(dst, c.Size, 10)
	if c.Last {
		dst = append(dst, " LAST"...)
	}
	return append(dst, '\r', '\n')
}

// ChunkText checks the content of BDAT chunks for octets that must not be in
// text. Content may be cut anywhere, also between CR and LF. The zero value
// stands before the first octet.
type ChunkText struct{ cr bool }

// Check returns the first fault of the next octets, or "".
func (t *ChunkText) Check(content []byte) Fault {
	for len(content) > 0 {
		if t.cr {
			if content[0] != '\n' {
				return BareCR
			}
			content, t.cr = content[1:], false
			continue
		}
		line := content
		if i := bytes.IndexByte(content, '\n'); i >= 0 {
			line = content[:i+1]
		}
		if _, fault := firstFault(line); fault != "" {
			return fault
		}
		t.cr = line[len(line)-1] == '\r'
		content = content[len(line):]
	}
	return ""
}

// End returns the fault of a message that ends here, or "".
func (t *ChunkText) End() Fault {
	if t.cr {
		return BareCR
	}
	return ""
}
