package relay

import "io"

// lineEnds reads text whose lines may end in LF, CR or CRLF, and makes all of
// them CRLF; a last line gets its end too.
type lineEnds struct {
	src  io.Reader
	in   [4 << 10]byte
	out  []byte // made and not read yet
	cr   bool   // the last octet was CR
	line bool   // a line has begun
	err  error
}

// Read implements io.Reader.
func (l *lineEnds) Read(p []byte) (int, error) {
	for len(l.out) == 0 {
		if l.err != nil {
			return 0, l.err
		}
		var n int
		n, l.err = l.src.Read(l.in[:])
		l.out = l.out[:0]
		for _, c := range l.in[:n] {
			l.octet(c)
		}
		if l.err == io.EOF && l.line {
			l.end()
		}
	}
	n := copy(p, l.out)
	l.out = l.out[n:]
	return n, nil
}

func (l *lineEnds) octet(c byte) {
	wasCR := l.cr
	l.cr = c == '\r'
	switch {
	case c == '\n' && wasCR:
	case c == '\n' || c == '\r':
		l.end()
	case c == 0: // no text has it
	default:
		l.out = append(l.out, c)
		l.line = true
	}
}

func (l *lineEnds) end() {
	l.out = append(l.out, '\r', '\n')
	l.line = false
}
