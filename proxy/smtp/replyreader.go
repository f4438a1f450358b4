package smtp

import (
	"bytes"
	"io"

	"github.com/mailweir/mailweir/filters"
)

// What ReplyReader reports about a reply that is none.
const (
	BadReply     Fault = "malformed reply"
	ReplyTooLong Fault = "reply too long"
)

// maxReplyLine bounds a reply's line in octets, CRLF included. RFC 5321
// section 4.5.3.1.5 allows 512; some servers write more. The whole reply is
// bounded by the window.
const maxReplyLine = 4 << 10

// ServerReply is a reply as a server gave it.
type ServerReply struct {
	Code int
	Wire []byte // all lines with their CRLF, control characters masked; valid until the next read
	Full bool   // a SP or "-" stands behind each code
}

// Class returns the first digit of the code.
func (r ServerReply) Class() int { return r.Code / 100 }

// Reply returns the reply with its text as a filter would write it. The
// enhanced status code stays in the text.
func (r ServerReply) Reply() filters.Reply {
	var text []byte
	for line := range bytes.SplitSeq(bytes.TrimSuffix(r.Wire, []byte("\r\n")), []byte("\r\n")) {
		text = append(text, line[min(len(line), 4):]...)
		text = append(text, '\n')
	}
	return filters.Reply{Code: uint16(r.Code), Text: string(text[:len(text)-1])}
}

// ReplyReader reads a server's replies. It holds a buffer only while there is
// something in it.
type ReplyReader struct {
	src        io.Reader
	window     *[windowSize]byte
	start, end int
}

// NewReplyReader returns a reader of src.
func NewReplyReader(src io.Reader) *ReplyReader { return &ReplyReader{src: src} }

// Buffered returns the number of octets read and not used.
func (r *ReplyReader) Buffered() int { return r.end - r.start }

// Release gives the buffer back, if nothing is in it. The last reply's Wire is
// not valid any more.
func (r *ReplyReader) Release() {
	if r.window == nil || r.Buffered() > 0 {
		return
	}
	windows.Put(r.window)
	r.window, r.start, r.end = nil, 0, 0
}

// ReadReply reads one reply. A Fault means that the server does not speak SMTP
// as agreed and the connection must be given up; any other error is the
// source's. A reply that is cut off is none: io.ErrUnexpectedEOF.
func (r *ReplyReader) ReadReply() (ServerReply, error) {
	if r.window == nil {
		r.window = windows.Get().(*[windowSize]byte)
	}
	line := 0 // where the next line begins, from r.start
	code, full := 0, true
	for {
		pending := r.window[r.start:r.end]
		i := bytes.IndexByte(pending[line:], '\n')
		if i < 0 {
			if len(pending)-line >= maxReplyLine {
				return ServerReply{}, ReplyTooLong
			}
			if err := r.fill(); err != nil {
				return ServerReply{}, err
			}
			continue
		}
		if i >= maxReplyLine {
			return ServerReply{}, ReplyTooLong
		}
		c, last, sep, ok := replyLine(pending[line : line+i+1])
		if !ok || line > 0 && c != code {
			return ServerReply{}, BadReply
		}
		line += i + 1
		code, full = c, full && sep
		if last {
			r.start += line
			return ServerReply{Code: code, Wire: pending[:line], Full: full}, nil
		}
	}
}

func (r *ReplyReader) fill() error {
	if r.start > 0 {
		r.end = copy(r.window[:], r.window[r.start:r.end])
		r.start = 0
	}
	if r.end == len(r.window) {
		return ReplyTooLong
	}
	n, err := r.src.Read(r.window[r.end:])
	if n > 0 {
		r.end += n
		return nil
	}
	switch {
	case err == io.EOF && r.end > 0:
		return io.ErrUnexpectedEOF
	case err == nil:
		return io.ErrNoProgress
	}
	return err
}

// replyLine reads one line of a reply with its end, and masks its control
// characters.
func replyLine(line []byte) (code int, last, sep, ok bool) {
	n := len(line) - 2
	if n < 3 || line[n] != '\r' {
		return 0, false, false, false
	}
	line = line[:n]
	for _, c := range line[:3] {
		if c < '0' || c > '9' {
			return 0, false, false, false
		}
		code = code*10 + int(c-'0')
	}
	if code < 200 || code > 559 || line[1] > '5' { // RFC 5321 section 4.2
		return 0, false, false, false
	}
	mask(line)
	if n == 3 {
		return code, true, false, true
	}
	return code, line[3] == ' ', true, line[3] == ' ' || line[3] == '-'
}

// Fill reads once from the source, behind what is Buffered.
func (r *ReplyReader) Fill() error {
	if r.window == nil {
		r.window = windows.Get().(*[windowSize]byte)
	}
	return r.fill()
}
