package smtp

import "bytes"

// Text reads the text of one message after DATA: a scanner over windows of the
// wire form. It says how much of a window may be passed on and where the text
// ends, and leaves alone what it cannot judge yet, at most two octets. Only
// CRLF "." CRLF ends the text (RFC 5321 section 4.1.1.4).
//
// The zero Text stands before the first octet and takes bare CR, bare LF and
// NUL for faults.
type Text struct {
	FixLines bool // make a bare LF a CRLF and a bare CR a space
	FixNUL   bool // drop NUL

	inLine  bool // the next octet read does not begin a line
	outLine bool // the next octet passed on does not begin a line
	refused bool // there was a fault
	fixed   []byte
}

// Piece is what Text.Next found.
type Piece struct {
	Used  int    // octets of the input that are dealt with
	Wire  []byte // what to pass on, in wire form; valid until the next call
	Start bool   // Wire begins a line
	Dots  bool   // Wire holds dot-stuffing
	End   bool   // the end mark was read: the text is complete
	Fault Fault  // the last octet used is this, and is not in Wire
}

// endMark ends a text, at the beginning of a line.
const endMark = ".\r\n"

// Next looks at what has arrived and is not used yet. A piece that uses
// nothing means: come again with more. After a fault the text goes on without
// Wire and further faults, so that its end can be found.
func (t *Text) Next(in []byte) (p Piece) {
	if t.refused {
		return t.seek(in)
	}
	if t.inLine == t.outLine {
		p, inLine := t.pass(in)
		if p.Fault == "" || !t.fixes(p.Fault) {
			t.inLine, t.outLine, t.refused = inLine, inLine, p.Fault != ""
			return p
		}
	}
	p = t.fix(in)
	t.refused = p.Fault != ""
	return p
}

// seek looks for the end and for nothing else: a text full of faults must not
// cost more than another.
func (t *Text) seek(in []byte) (p Piece) {
	for p.Used < len(in) {
		rest := in[p.Used:]
		if !t.inLine {
			end, more := isEnd(rest)
			if end {
				p.Used += len(endMark)
			}
			if end || more {
				p.End = end
				return p
			}
		}
		eol := bytes.Index(rest, []byte("\r\n"))
		if eol < 0 {
			n := len(rest)
			if rest[n-1] == '\r' {
				n--
			}
			p.Used += n
			t.inLine = t.inLine || n > 0
			return p
		}
		p.Used += eol + 2
		t.inLine = false
	}
	return p
}

func (t *Text) fixes(f Fault) bool {
	if f == NUL {
		return t.FixNUL
	}
	return t.FixLines
}

// pass takes the input as it is, up to the first fault.
func (t *Text) pass(in []byte) (p Piece, inLine bool) {
	p.Start = !t.inLine
	inLine = t.inLine
	at := 0
	for {
		if !inLine {
			end, more := isEnd(in[at:])
			if end || more {
				p.Used, p.Wire, p.End = at, in[:at], end
				if end {
					p.Used += len(endMark)
				}
				return p, inLine
			}
			p.Dots = p.Dots || at < len(in) && in[at] == '.'
		}
		eol := bytes.IndexByte(in[at:], '\n')
		line := in[at:]
		if eol >= 0 {
			line = line[:eol+1]
		}
		if n, fault := firstFault(line); fault != "" {
			p.Used, p.Wire, p.Fault = at+n+1, in[:at+n], fault
			return p, true
		}
		if eol < 0 {
			n := len(line)
			if n > 0 && line[n-1] == '\r' {
				n--
			}
			p.Used, p.Wire = at+n, in[:at+n]
			return p, inLine || n > 0
		}
		at += len(line)
		inLine = false
	}
}

// isEnd reports whether a line's beginning is the end mark, or may become it
// when more arrives.
func isEnd(line []byte) (end, more bool) {
	if len(line) == 0 || line[0] != '.' {
		return false, false
	}
	if len(line) < len(endMark) {
		return false, string(line) == endMark[:len(line)]
	}
	return string(line[:len(endMark)]) == endMark, false
}

// firstFault finds the first octet that must not be in a line, which may lack
// its end, or half of it.
func firstFault(line []byte) (at int, fault Fault) {
	body := line
	n := len(line)
	switch {
	case n >= 2 && line[n-1] == '\n' && line[n-2] == '\r':
		body = line[:n-2]
	case n >= 1 && line[n-1] == '\n':
		body, at, fault = line[:n-1], n-1, BareLF
	case n >= 1 && line[n-1] == '\r':
		body = line[:n-1]
	}
	if i := bytes.IndexByte(body, '\r'); i >= 0 {
		body, at, fault = body[:i], i, BareCR
	}
	if i := bytes.IndexByte(body, 0); i >= 0 {
		return i, NUL
	}
	return at, fault
}

// fix reads the text octet by octet and writes it anew: what was fixed can
// have made a line begin with a dot that did not, or the other way round.
func (t *Text) fix(in []byte) Piece {
	p := Piece{Start: !t.outLine}
	t.fixed = t.fixed[:0]
	at := 0
loop:
	for at < len(in) && p.Fault == "" {
		if !t.inLine && in[at] == '.' {
			end, more := isEnd(in[at:])
			if more {
				break
			}
			if end {
				p.End = true
				at += len(endMark)
				break
			}
			t.inLine = true // this dot is stuffing
			at++
			continue
		}
		switch c := in[at]; {
		case c == '\r' && at+1 == len(in):
			break loop
		case c == '\r' && in[at+1] == '\n':
			t.endLine()
			t.inLine = false
			at++
		case c == '\r':
			p.Fault = t.fixOctet(BareCR)
		case c == '\n':
			p.Fault = t.fixOctet(BareLF)
		case c == 0:
			p.Fault = t.fixOctet(NUL)
		default:
			p.Dots = t.octet(c) || p.Dots
			t.inLine = true
		}
		at++
	}
	p.Used, p.Wire = at, t.fixed
	return p
}

// fixOctet writes what stands for a fault, or returns it when it may not be
// fixed.
func (t *Text) fixOctet(f Fault) Fault {
	t.inLine = true
	switch {
	case !t.fixes(f):
		return f
	case f == BareLF:
		t.endLine()
	case f == BareCR:
		t.octet(' ')
	}
	return ""
}

func (t *Text) endLine() {
	t.fixed = append(t.fixed, '\r', '\n')
	t.outLine = false
}

// octet writes one octet and reports whether it had to be stuffed.
func (t *Text) octet(c byte) (stuffed bool) {
	if stuffed = c == '.' && !t.outLine; stuffed {
		t.fixed = append(t.fixed, '.')
	}
	t.fixed = append(t.fixed, c)
	t.outLine = true
	return stuffed
}

// Content passes the content of a piece of text to yield, without its
// dot-stuffing, in slices of the wire form.
func (p *Piece) Content(yield func([]byte)) {
	wire := p.Wire
	if !p.Dots {
		if len(wire) > 0 {
			yield(wire)
		}
		return
	}
	if p.Start && wire[0] == '.' {
		wire = wire[1:]
	}
	for len(wire) > 0 {
		i := bytes.Index(wire, []byte("\r\n."))
		if i < 0 {
			yield(wire)
			return
		}
		yield(wire[:i+2])
		wire = wire[i+3:]
	}
}
