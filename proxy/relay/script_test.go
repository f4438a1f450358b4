package relay_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/relay"
	"github.com/mailweir/mailweir/proxy/upstream"
)

// A play is one session in lock step, without sockets and without waiting:
// whatever the relay writes is answered before its Write returns, and a read
// that would have to wait gets what the script has for that case.
type play struct {
	options relay.Options
	fleet   *upstream.Fleet
	journal *journal

	// more gives what the client sends next, and heard is all that it was told
	// so far. With nothing to send, err is what the relay's read returns.
	more func(heard []byte) (next []byte, err error)
	// answer gives what the upstream says to what the relay has written to it;
	// usual is what an MTA would say. n counts all writes, the first being
	// the connection itself.
	answer func(n int, usual string) (says string, then error)
	// afterwards changes an upstream connection while the client is about to
	// send something further.
	afterwards func(u *upstreamEnd)
	cut        int  // the most octets that one read returns, 0 for all
	held       bool // messages are held, and stuffed anew
	clock      bool // silence lasts until the deadline: for tests in a bubble

	mu     sync.Mutex
	heard  []byte
	faults []string
	writes int       // to all upstream connections
	most   int       // octets that one write had for the client
	told   time.Time // when the client was last written to
	up     []*upstreamEnd
	closed chan struct{} // when the relay has closed the client's connection
}

// newPlay returns a play with a client that sends one string and leaves, and
// an upstream that takes all.
func newPlay(t testing.TB, client string) *play {
	p := &play{journal: &journal{}, closed: make(chan struct{})}
	p.options = settings(t, slog.New(p.journal))
	p.fleet = newFleet()
	p.fleet.Dial = p.dial
	p.options.Upstream = behind(p.fleet, "192.0.2.25:25", maxConnections)
	p.more = inOneGo(client, io.EOF)
	p.answer = func(_ int, usual string) (string, error) { return usual, os.ErrDeadlineExceeded }
	return p
}

// hold makes the relay hold messages until they are complete.
func (p *play) hold(t testing.TB) {
	p.held = true
	p.options.Chain = newNeedyChain(t, p.options.Log, filters.WholeMessage, &stub{})
}

// inOneGo is a client that sends all it has without listening.
func inOneGo(octets string, end error) func([]byte) ([]byte, error) {
	return func([]byte) ([]byte, error) {
		next := octets
		octets = ""
		return []byte(next), end
	}
}

// run plays the session to its end and fails the test for what must never be.
func (p *play) run(t testing.TB) {
	t.Helper()
	r, err := relay.New(p.options)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Serve(&playListener{play: p}); err != nil {
		t.Fatal(err)
	}
	if err := r.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if held := p.fleet.Held(); held != 0 {
		p.fault("%d upstream connections are still counted", held)
	}
	for _, u := range p.up {
		if !u.closed {
			p.fault("an upstream connection was left open")
		}
	}
	if log := p.journal.with("panic"); log != "" && p.journal.panicAt == "" {
		p.fault("%s", log)
	}
	for _, f := range p.faults {
		t.Error(f)
	}
}

// fault notes what is wrong. p.mu must be held, or the session over.
func (p *play) fault(format string, args ...any) {
	p.faults = append(p.faults, fmt.Sprintf(format, args...))
}

func (p *play) dial(context.Context, string, string) (net.Conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	u := &upstreamEnd{play: p}
	u.ask("220 up.example ESMTP\r\n")
	p.up = append(p.up, u)
	return u, nil
}

// playListener has one client, and no other when that one is done.
type playListener struct {
	*play
	accepted bool
}

func (l *playListener) Accept() (net.Conn, error) {
	if !l.accepted {
		l.accepted = true
		return &clientEnd{play: l.play}, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}

func (l *playListener) Close() error   { return nil }
func (l *playListener) Addr() net.Addr { return nowhere }

var nowhere = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 25}

// clientEnd is the client as the relay sees it.
type clientEnd struct {
	*play
	pending []byte
	limit   deadlines
	once    sync.Once
}

func (c *clientEnd) Read(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.limit.passed() {
		return 0, os.ErrDeadlineExceeded
	}
	if len(c.pending) == 0 {
		next, err := c.more(c.heard)
		if c.afterwards != nil && len(c.up) > 0 {
			c.afterwards(c.up[len(c.up)-1])
			c.afterwards = nil
		}
		if len(next) == 0 {
			return 0, c.silence(err, c.limit.read, "client")
		}
		c.pending = next
	}
	return take(&c.pending, b, c.cut), nil
}

func (c *clientEnd) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.limit.write.IsZero() {
		c.fault("a write to the client without a deadline")
	}
	c.heard, c.told, c.most = append(c.heard, b...), time.Now(), max(c.most, len(b))
	return len(b), nil
}

func (c *clientEnd) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}

func (c *clientEnd) CloseWrite() error                  { return nil }
func (c *clientEnd) LocalAddr() net.Addr                { return nowhere }
func (c *clientEnd) RemoteAddr() net.Addr               { return nowhere }
func (c *clientEnd) SetDeadline(time.Time) error        { panic("not used") }
func (c *clientEnd) SetReadDeadline(t time.Time) error  { return c.set(&c.limit.read, t) }
func (c *clientEnd) SetWriteDeadline(t time.Time) error { return c.set(&c.limit.write, t) }

func (p *play) set(limit *time.Time, t time.Time) error {
	p.mu.Lock()
	*limit = t
	p.mu.Unlock()
	return nil
}

type deadlines struct{ read, write time.Time }

// passed reports whether the read deadline has.
func (d *deadlines) passed() bool { return !d.read.IsZero() && !time.Now().Before(d.read) }

// silence is a read that finds nothing: err, or nothing until the deadline.
// p.mu is held.
func (p *play) silence(err error, until time.Time, of string) error {
	switch {
	case err != os.ErrDeadlineExceeded:
	case until.IsZero():
		p.fault("a read of the %s without a deadline", of)
	case p.clock:
		p.mu.Unlock()
		time.Sleep(time.Until(until))
		p.mu.Lock()
	}
	return err
}

func take(pending *[]byte, b []byte, cut int) int {
	if cut > 0 {
		b = b[:min(cut, len(b))]
	}
	n := copy(b, *pending)
	*pending = (*pending)[n:]
	return n
}

// SyscallConn lets the relay look at a socket in the same state.
func (c *clientEnd) SyscallConn() (syscall.RawConn, error) {
	return rawState(func() state {
		c.mu.Lock()
		defer c.mu.Unlock()
		if len(c.pending) > 0 {
			return readable
		}
		return idle
	}), nil
}

// upstreamEnd is one connection to the upstream as the relay sees it.
type upstreamEnd struct {
	*play
	oracle  oracle
	head    []byte // of a chunk, written and not looked at
	pending []byte
	end     error // of reads, when nothing is pending
	endless string
	limit   deadlines
	closed  bool
}

// ask lets the script say something; p.mu is held.
func (u *upstreamEnd) ask(usual string) {
	says, end := u.answer(u.writes, usual)
	u.writes++
	u.end = end
	if e, ok := end.(endless); ok {
		u.endless = string(e)
	}
	u.pending = append(u.pending, says...)
	u.oracle.says(says)
}

// endless is what a connection returns over and over.
type endless string

func (endless) Error() string { return "endless" }

func (u *upstreamEnd) Read(b []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.closed:
		return 0, net.ErrClosed
	case len(u.pending) == 0 && u.endless != "":
		u.pending = []byte(u.endless)
	case len(u.pending) == 0:
		return 0, u.silence(u.end, u.limit.read, "upstream")
	}
	return take(&u.pending, b, u.cut), nil
}

func (u *upstreamEnd) Write(b []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.closed:
		return 0, net.ErrClosed
	case u.limit.write.IsZero():
		u.fault("a write to the upstream without a deadline")
	case u.end == io.EOF || u.end == syscall.ECONNRESET:
		return 0, syscall.EPIPE
	}
	n := len(b)
	if b = append(u.head, b...); isHead(b) {
		u.head = b // a socket gets both in one call
		return n, nil
	}
	u.head = nil
	usual, err := u.oracle.hears(b)
	if err != nil {
		u.fault("%v, in %.200q", err, b)
	}
	u.ask(usual)
	return n, nil
}

// isHead reports whether b is BDAT without its octets.
func isHead(b []byte) bool {
	size, ok := strings.CutPrefix(string(b), "BDAT ")
	return ok && size[0] != '0' && strings.HasSuffix(size, "\r\n") && strings.Count(size, "\n") == 1
}

func (u *upstreamEnd) Close() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closed = true
	return nil
}

func (u *upstreamEnd) LocalAddr() net.Addr                { return nowhere }
func (u *upstreamEnd) RemoteAddr() net.Addr               { return nowhere }
func (u *upstreamEnd) SetDeadline(time.Time) error        { panic("not used") }
func (u *upstreamEnd) SetReadDeadline(t time.Time) error  { return u.set(&u.limit.read, t) }
func (u *upstreamEnd) SetWriteDeadline(t time.Time) error { return u.set(&u.limit.write, t) }

// SyscallConn lets the relay look at a socket in the same state.
func (u *upstreamEnd) SyscallConn() (syscall.RawConn, error) {
	return rawState(func() state {
		u.mu.Lock()
		defer u.mu.Unlock()
		switch {
		case len(u.pending) > 0 || u.endless != "":
			return readable
		case u.closed || u.end == io.EOF || u.end == syscall.ECONNRESET:
			return hungUp
		}
		return idle
	}), nil
}
