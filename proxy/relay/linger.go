package relay

import (
	"sync"
	"time"
)

// Bounds of what is read of a client that has been told goodbye: the rest of a
// message, or of what it had sent ahead if it has itself to thank for its end. One
// that floods us goes on in any case, so that is soon read with a pause behind
// each piece, and the client's own window holds it up.
const (
	lingerOctets = 64 << 20
	lingerIdle   = 2 * time.Second
	lingerWhole  = 30 * time.Second

	lingerGuiltyOctets = 4 << 20
	lingerGuiltyWhole  = 5 * time.Second
	lingerGuiltyPause  = 50 * time.Millisecond
	lingerGuiltyAtOnce = 64 << 10 // octets before the first pause
)

// linger closes the connection so that the client gets to read what was said:
// an end with octets of its unread would take it away again.
func (s *session) linger() {
	if s.flush() != nil || s.goodbye && s.in.Buffered() == 0 {
		return
	}
	if s.up != nil {
		s.quitUpstream() // others may wait for its place
	}
	half, ok := s.conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	most, whole, pause := lingerOctets, lingerWhole, time.Duration(0)
	if s.guilty() {
		most, whole, pause = lingerGuiltyOctets, lingerGuiltyWhole, lingerGuiltyPause
	}
	end := time.Now().Add(s.relay.short(whole))
	for read := 0; read < most && time.Now().Before(end) && !s.cutOff(); {
		s.conn.SetReadDeadline(time.Now().Add(lingerIdle))
		n, err := s.throwAway()
		if err != nil {
			return
		}
		if read += n; read > lingerGuiltyAtOnce {
			time.Sleep(pause)
		}
	}
}

// guilty reports whether the session ends for what the client did.
func (s *session) guilty() bool {
	return s.end == endLimit || s.end == endRefused || s.end == endTimeout || s.end == endProxy
}

// throwAway reads something that nobody wants.
func (s *session) throwAway() (int, error) {
	var b bin
	defer b.TakeBack()
	if s.layer == nil {
		return s.socket.ReadSparing(&b)
	}
	return s.conn.Read(b.Lend())
}

// bin is a buffer for that. It implements peek.Lender.
type bin struct{ buf *[binSize]byte }

const binSize = 32 << 10

var bins = sync.Pool{New: func() any { return new([binSize]byte) }}

func (b *bin) Lend() []byte {
	if b.buf == nil {
		b.buf = bins.Get().(*[binSize]byte)
	}
	return b.buf[:]
}

func (b *bin) TakeBack() {
	if b.buf != nil {
		bins.Put(b.buf)
		b.buf = nil
	}
}
