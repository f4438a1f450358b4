package trial

import "bytes"

// wireForm returns text with CRLF at all line ends, the last one too.
func wireForm(text []byte) []byte {
	out, last := appendCRLF(make([]byte, 0, len(text)+len(text)/32+2), text, 0)
	if len(out) > 0 && last != '\n' {
		out = append(out, '\r', '\n')
	}
	return out
}

// appendCRLF appends a piece of text, with CRLF for each LF. last is the octet
// before the piece, and then its last one.
func appendCRLF(dst, piece []byte, last byte) ([]byte, byte) {
	for len(piece) > 0 {
		i := bytes.IndexByte(piece, '\n')
		if i < 0 {
			return append(dst, piece...), piece[len(piece)-1]
		}
		if i > 0 {
			last = piece[i-1]
		}
		dst = append(dst, piece[:i]...)
		if last != '\r' {
			dst = append(dst, '\r')
		}
		dst, last, piece = append(dst, '\n'), '\n', piece[i+1:]
	}
	return dst, last
}
