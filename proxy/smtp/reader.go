package smtp

import (
	"bytes"
	"io"
	"sync"
)

// Sizes of a Reader's buffers in octets: a small one for commands, a window for
// texts. It has either only while there is something in it, if its source can
// wait without one; an idle session then costs neither.
const (
	smallBuffer = 2 << 10
	windowSize  = 32 << 10
)

var (
	smalls  = sync.Pool{New: func() any { return new([smallBuffer]byte) }}
	windows = sync.Pool{New: func() any { return new([windowSize]byte) }}
)

// Sparing is a source that can wait without a buffer.
type Sparing interface {
	io.Reader

	// ReadSparing is a Read into a buffer of l's, for which it asks when there may
	// be something to read. It gives it back if there is nothing, and may ask again.
	ReadSparing(l Lender) (int, error)
}

// Lender lends one buffer.
type Lender interface {
	Lend() []byte
	TakeBack()
}

// maxJunk bounds what is thrown away in search of the end of a bad line.
const maxJunk = 1 << 20

// Reader reads the client's side of a session: lines, and in between the text
// of messages in windows. It never holds more than one window.
type Reader struct {
	src        io.Reader
	sparing    Sparing // src, or nil if that cannot wait without a buffer
	buf        []byte  // small or window, nil if there is neither
	start, end int     // buf[start:end] is read and not yet used
	window     *[windowSize]byte
	small      *[smallBuffer]byte
	wide       bool // the next buffer is a window

	bad      Fault // what is wrong with the line being thrown away
	answered bool  // that fault has been reported
	junk     int   // octets thrown away of it
}

// NewReader returns a reader of src.
func NewReader(src io.Reader) *Reader {
	sparing, _ := src.(Sparing)
	return &Reader{src: src, sparing: sparing}
}

// Buffered returns the number of octets that can be had without reading.
func (r *Reader) Buffered() int { return r.end - r.start }

// Pending returns those octets. They are valid until the next call.
func (r *Reader) Pending() []byte { return r.buf[r.start:r.end] }

// Discard drops the first n octets of Pending.
func (r *Reader) Discard(n int) {
	r.start += n
	if r.start == r.end {
		r.start, r.end = 0, 0
	}
}

// Fill reads once from the source, after whatever is pending, into a window.
// It must not be called with a full window pending.
func (r *Reader) Fill() error {
	r.wide = true
	err := r.read()
	r.wide = false
	return err
}

// Release gives a buffer back, if what is pending fits without it. The last
// line is not valid any more.
func (r *Reader) Release() {
	switch n := r.Buffered(); {
	case n == 0:
		r.drop()
	case r.window != nil && n <= smallBuffer:
		r.change(false)
	}
}

// change goes over to a buffer of the other size, with what is pending.
func (r *Reader) change(wide bool) {
	pending, small, window := r.Pending(), r.small, r.window
	r.small, r.window = nil, nil
	r.get(wide)
	r.start, r.end = 0, copy(r.buf, pending)
	giveBack(small, window)
}

// get takes a buffer of that size. There must be none.
func (r *Reader) get(wide bool) {
	if wide {
		r.window = windows.Get().(*[windowSize]byte)
		r.buf = r.window[:]
		return
	}
	r.small = smalls.Get().(*[smallBuffer]byte)
	r.buf = r.small[:]
}

// drop gives the buffer back. Nothing may be pending.
func (r *Reader) drop() {
	small, window := r.small, r.window
	r.buf, r.start, r.end, r.small, r.window = nil, 0, 0, nil, nil
	giveBack(small, window)
}

func giveBack(small *[smallBuffer]byte, window *[windowSize]byte) {
	if small != nil {
		smalls.Put(small)
	}
	if window != nil {
		windows.Put(window)
	}
}

// Lend implements Lender, for the source.
func (r *Reader) Lend() []byte {
	if r.buf == nil {
		r.get(r.wide)
	}
	return r.buf
}

// TakeBack implements Lender, for the source.
func (r *Reader) TakeBack() { r.drop() }

// read reads once. Nothing that was returned before is valid then.
func (r *Reader) read() error {
	if n, err := r.readSource(); n == 0 {
		if err == nil {
			err = io.ErrNoProgress
		}
		return err
	}
	return nil
}

func (r *Reader) readSource() (n int, err error) {
	if r.sparing != nil && r.Buffered() == 0 {
		r.drop()
		if n, err = r.sparing.ReadSparing(r); n > 0 {
			r.end = n
		}
		return n, err
	}
	switch {
	case r.buf == nil:
		r.get(r.wide)
	case r.wide && r.window == nil:
		r.change(true)
	case r.start > 0:
		r.start, r.end = 0, copy(r.buf, r.Pending())
	}
	n, err = r.src.Read(r.buf[r.end:])
	r.end += n
	return n, err
}

// First waits until a line has begun, and returns all that is pending then. It
// takes nothing away, and returns nothing in the rest of a bad line. The octets
// are valid until the next call.
func (r *Reader) First() ([]byte, error) {
	if r.bad != "" {
		return nil, nil
	}
	if r.Buffered() == 0 {
		if err := r.read(); err != nil {
			return nil, err
		}
	}
	return r.Pending(), nil
}

// ReadLine returns the next line of at most max octets, CRLF included, without
// its CRLF. The line is valid until the next call; max is at most 32 KiB.
//
// A bad line is reported once, by a Fault, and thrown away up to its CRLF:
// BareCR, NUL and LineTooLong when its end has come; BareLF as soon as it is
// seen, and again for each further bare LF of that line, for a client that
// sends no CR waits for an answer. After TooMuchJunk the session must end.
// A fault comes with the octets that show it, if they are at hand. Any other
// error is the source's.
func (r *Reader) ReadLine(max int) ([]byte, error) {
	seen := 0 // octets of what is pending that hold no LF
	for {
		pending := r.Pending()
		if i := bytes.IndexByte(pending[seen:], '\n'); i >= 0 {
			line := pending[:seen+i+1]
			r.Discard(len(line))
			if fault, skip := r.judge(line, max); fault != "" {
				return line, fault
			} else if !skip {
				return line[:len(line)-2], nil
			}
			seen = 0
			continue
		}
		seen = len(pending)
		if seen >= max || r.bad != "" {
			seen = r.throwAway()
		}
		if r.junk > maxJunk {
			return nil, TooMuchJunk
		}
		if r.window == nil && r.Buffered() == smallBuffer {
			r.change(true)
		}
		if err := r.read(); err != nil {
			return nil, err
		}
	}
}

// throwAway drops a line that has grown too long, or the rest of a bad one,
// but for a final CR: it may be half of the line's end. It returns the number
// of octets left.
func (r *Reader) throwAway() int {
	if r.bad == "" {
		r.bad = LineTooLong
	}
	pending := r.Pending()
	n := len(pending)
	if n > 0 && pending[n-1] == '\r' {
		n--
	}
	r.junk += n
	r.Discard(n)
	return r.Buffered()
}

// judge looks at a stretch that ends in LF: a line, or the next part of a bad
// one. It returns what to report, or whether there is nothing to return yet.
func (r *Reader) judge(stretch []byte, max int) (fault Fault, skip bool) {
	n := len(stretch)
	if r.junk += n; r.junk > maxJunk {
		return TooMuchJunk, false
	}
	if n < 2 || stretch[n-2] != '\r' {
		r.bad, r.answered = BareLF, true
		return BareLF, false
	}
	fault, skip = r.bad, r.answered
	r.bad, r.answered, r.junk = "", false, 0
	switch {
	case skip:
		return "", true
	case fault != "":
		return fault, false
	case n > max:
		return LineTooLong, false
	case bytes.IndexByte(stretch, '\r') != n-2:
		return BareCR, false
	case bytes.IndexByte(stretch, 0) >= 0:
		return NUL, false
	}
	return "", false
}
