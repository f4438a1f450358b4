package proxy_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A scene is what is said on one connection, in order. Its lines are:
//
//	C: text           the client says this line; consecutive ones go out at once
//	S: text           the server says this line
//	C| "octets"       the same with octets as in Go, and no CRLF at the end
//	C| 100 "octets"   a hundred times
//	C close           the client closes; S close, the same of the server
//	C cut "octets"    the client says no more than a part of this, and closes
//	C half-close      the client closes its half
//	S reset           the server breaks the connection off
//	hello A, B        the greetings, with EHLO and its reply of these keywords
//	bye               QUIT, answered with 221
//	tls               the client begins TLS; all that follows is in it
//	starttls          STARTTLS, and that
//	mark name         from here on those may go on who
//	wait name         stand here
//	logged text       stand here until a record of the log has that message
//	from 127.0.0.2    the client's address. The MTA of the milter door may tell
//	                  of any other, and of a confirmed name behind it.
//	refuse            the upstream does not take connections
//	shutdown          mailweir is told to stop
//	# text            a remark
//
// At the end the other side is expected to close.
type scene struct {
	steps   []step
	from    string // local address of the client, or ""
	refused bool
}

type step struct {
	pos  string // file:section line
	side byte   // 'C', 'S', or 0
	act  string // "say", "close", "cut", "half-close", "reset", "mark", "wait", "logged", "shutdown", "tls"
	text string // what to say or to be logged, or the name of the mark
}

// parseScene reads a scene; host is the server's name in hello.
func parseScene(t *testing.T, file, host, text string) scene {
	t.Helper()
	var s scene
	n := 0
	for line := range strings.Lines(text) {
		n++
		pos := fmt.Sprintf("%s: as %s, line %d", file, host, n)
		if err := s.add(pos, host, strings.TrimSuffix(line, "\n")); err != nil {
			t.Fatalf("%s: %v", pos, err)
		}
	}
	return s
}

func (s *scene) add(pos, host, line string) error {
	word, rest, _ := strings.Cut(line, " ")
	say := func(side byte, text string) {
		s.steps = append(s.steps, step{pos, side, "say", text})
	}
	switch word {
	case "", "#":
	case "C:", "S:":
		say(word[0], rest+"\r\n")
	case "C|", "S|":
		octets, err := rawOctets(rest)
		if err != nil {
			return err
		}
		say(word[0], octets)
	case "C", "S":
		act, octets, _ := strings.Cut(rest, " ")
		text, err := rawOctets(octets)
		if octets != "" && err != nil {
			return err
		}
		s.steps = append(s.steps, step{pos, word[0], act, text})
	case "starttls":
		say('C', "STARTTLS\r\n")
		say('S', "220 2.0.0 Ready to start TLS\r\n")
		s.steps = append(s.steps, step{pos, 0, "tls", ""})
	case "mark", "wait", "logged", "shutdown", "tls":
		s.steps = append(s.steps, step{pos, 0, word, rest})
	case "from":
		s.from = rest
	case "refuse":
		s.refused = true
	case "hello":
		say('S', "220 "+host+" ESMTP\r\n")
		say('C', "EHLO client.example\r\n")
		lines := append([]string{host}, strings.Split(rest, ", ")...)
		if rest == "" {
			lines = lines[:1]
		}
		for i, l := range lines {
			sep := "-"
			if i == len(lines)-1 {
				sep = " "
			}
			say('S', "250"+sep+l+"\r\n")
		}
	case "bye":
		say('C', "QUIT\r\n")
		say('S', "221 Bye\r\n")
	default:
		return fmt.Errorf("what is %q?", line)
	}
	return nil
}

func rawOctets(s string) (string, error) {
	times := 1
	if n, rest, ok := strings.Cut(s, " "); ok && s[0] != '"' {
		var err error
		if times, err = strconv.Atoi(n); err != nil {
			return "", err
		}
		s = rest
	}
	octets, err := strconv.Unquote(s)
	return strings.Repeat(octets, times), err
}

// A stage is what the players of one transcript share.
type stage struct {
	marks    *marks
	words    *words
	octets   bool // the client sends one octet a segment
	told     bool // the MTA tells of the clients' addresses: they need not be real
	log      *syncBuffer
	shutdown func()
}

// marks are the points that one player reaches and another waits for.
type marks struct {
	mu      sync.Mutex
	reached map[string]chan struct{}
}

func newMarks() *marks { return &marks{reached: map[string]chan struct{}{}} }

func (m *marks) get(name string) chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.reached[name] == nil {
		m.reached[name] = make(chan struct{})
	}
	return m.reached[name]
}

// client plays the client's part of the scene.
func (s *scene) client(stage *stage, addr string) error {
	d := net.Dialer{Timeout: patience}
	if s.from != "" && !stage.told {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(s.from)}
	}
	conn, err := d.DialContext(context.Background(), "tcp", addr)
	if err != nil {
		return err
	}
	p := newPlayer(stage, 'C', conn.(*net.TCPConn))
	p.octets = stage.octets
	return p.play(s.steps)
}

// server plays the upstream's part. When the client's octets come one by one
// it depends on the clock which commands are a group: each gets its reply at
// once then.
func (s *scene) server(stage *stage, conn *net.TCPConn) error {
	p := newPlayer(stage, 'S', conn)
	if !stage.octets {
		return p.play(s.steps)
	}
	p.hasty = true
	return p.play(inLockStep(s.steps))
}

// inLockStep puts the replies to a group behind each of its commands. The lines
// of a text are no group.
func inLockStep(steps []step) []step {
	var out []step
	for len(steps) > 0 {
		commands := runOf(steps, 'C')
		replies := repliesIn(steps[commands:])
		if commands < 2 || len(replies) != commands || steps[commands-1].text == ".\r\n" {
			n := max(commands, 1)
			out, steps = append(out, steps[:n]...), steps[n:]
			continue
		}
		for i, reply := range replies {
			out = append(append(out, steps[i]), reply...)
		}
		steps = steps[commands+runOf(steps[commands:], 'S'):]
	}
	return out
}

// runOf counts the steps in which that side speaks at once.
func runOf(steps []step, side byte) int {
	n := 0
	for n < len(steps) && steps[n].side == side && steps[n].act == "say" {
		n++
	}
	return n
}

// repliesIn cuts what the server says at once into replies.
func repliesIn(steps []step) [][]step {
	var replies [][]step
	start := 0
	for i := range runOf(steps, 'S') {
		if text := steps[i].text; len(text) < 4 || text[3] != '-' {
			replies = append(replies, steps[start:i+1])
			start = i + 1
		}
	}
	return replies
}

// player plays one side of a scene on a connection.
type player struct {
	*stage
	side   byte
	tcp    *net.TCPConn
	conn   duplex // the same, or TLS on it
	in     *bufio.Reader
	octets bool
	hasty  bool // speaks even if the other side has said more than it should
	closed bool
}

func newPlayer(stage *stage, side byte, conn *net.TCPConn) *player {
	return &player{stage: stage, side: side, tcp: conn, conn: conn, in: bufio.NewReader(conn)}
}

func (p *player) play(steps []step) error {
	defer p.conn.Close()
	p.conn.SetDeadline(time.Now().Add(patience))
	for len(steps) > 0 {
		n := 1
		if steps[0].side == p.side {
			n = max(1, runOf(steps, p.side))
		}
		if err := p.take(steps[:n]); err != nil {
			return fmt.Errorf("%s: %w", steps[0].pos, err)
		}
		steps = steps[n:]
	}
	if p.closed {
		return nil
	}
	if err := p.awaitClose(); err != nil {
		return fmt.Errorf("at the end: %w", err)
	}
	return nil
}

// take plays one step, or several in which this side speaks at once.
func (p *player) take(steps []step) error {
	switch s := steps[0]; {
	case s.act == "mark":
		close(p.marks.get(s.text))
		return nil
	case s.act == "wait":
		select {
		case <-p.marks.get(s.text):
			return nil
		case <-time.After(patience):
			return fmt.Errorf("nobody got to the mark %s", s.text)
		}
	case s.act == "logged":
		return p.awaitRecord(s.text)
	case s.act == "tls":
		return p.encrypt()
	case s.act == "shutdown":
		p.shutdown()
		return nil
	case s.side == p.side:
		return p.do(steps)
	case s.act == "say":
		return p.hear(s.text)
	case s.act == "close":
		p.closed = true
		return p.awaitClose()
	case s.act == "cut":
		p.closed = true
		return p.hearPart(s.text)
	}
	return fmt.Errorf("cannot wait for %s", steps[0].act)
}

// awaitRecord waits until a record of the log has that message.
func (p *player) awaitRecord(msg string) error {
	for deadline := time.Now().Add(patience); !strings.Contains(p.log.String(), strconv.Quote(msg)); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("nobody has logged %q", msg)
		}
	}
	return nil
}

// do plays this side's part.
func (p *player) do(steps []step) error {
	switch steps[0].act {
	case "say":
		var text strings.Builder
		for _, s := range steps {
			text.WriteString(s.text)
		}
		return p.say(text.String())
	case "half-close":
		return p.conn.CloseWrite()
	case "reset":
		p.closed = true
		p.tcp.SetLinger(0)
		return p.tcp.Close()
	case "close":
		p.closed = true
		return p.conn.Close()
	}
	return fmt.Errorf("cannot %q", steps[0].act)
}

func (p *player) say(text string) error {
	if p.in.Buffered() > 0 && !p.hasty {
		early, _ := p.in.Peek(p.in.Buffered())
		return fmt.Errorf("heard %q before it was time", early)
	}
	piece := len(text)
	if p.octets {
		piece = 1 + len(text)/5000 // time is dear
	}
	for len(text) > 0 {
		n := min(piece, len(text))
		if _, err := io.WriteString(p.conn, text[:n]); err != nil {
			return err
		}
		text = text[n:]
	}
	return nil
}

// hear expects what the other side says.
func (p *player) hear(want string) error {
	if placeholder.MatchString(want) {
		got, err := p.in.ReadString('\n')
		if err == nil && !p.words.match(want, got) {
			err = errors.New("something else")
		}
		if err != nil {
			return fmt.Errorf("want %q, heard %q: %w", want, got, err)
		}
		return nil
	}
	for i := range len(want) {
		c, err := p.in.ReadByte()
		if err != nil {
			return fmt.Errorf("want %q, heard %q: %w", want, want[:i], err)
		}
		if c != want[i] {
			rest, _ := p.in.Peek(p.in.Buffered())
			return fmt.Errorf("want %q, heard %q", want, want[:i]+string(c)+string(rest))
		}
	}
	return nil
}

// hearPart expects a part of that, and the end.
func (p *player) hearPart(whole string) error {
	got, err := io.ReadAll(p.in)
	switch {
	case err != nil && !errors.Is(err, syscall.ECONNRESET):
		return err
	case !strings.HasPrefix(whole, string(got)):
		return fmt.Errorf("want a part of %q, heard %q", whole, got)
	}
	return nil
}

// awaitClose expects the other side to close without another word.
func (p *player) awaitClose() error {
	c, err := p.in.ReadByte()
	switch {
	case err == nil:
		rest, _ := p.in.Peek(p.in.Buffered())
		return fmt.Errorf("want the end, heard %q", string(c)+string(rest))
	case err == io.EOF, errors.Is(err, syscall.ECONNRESET):
		return nil
	}
	return fmt.Errorf("want the end: %w", err)
}

// words are what the placeholders of a transcript stand for.
type words struct {
	mu    sync.Mutex
	known map[string]string
}

func newWords() *words { return &words{known: map[string]string{}} }

var placeholder = regexp.MustCompile(`\{[a-z]+\}`)

// match reports whether got is as pattern says, and learns new words from it.
func (w *words) match(pattern, got string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	var expr strings.Builder
	var unknown []string
	at := 0
	for _, place := range placeholder.FindAllStringIndex(pattern, -1) {
		expr.WriteString(regexp.QuoteMeta(pattern[at:place[0]]))
		at = place[1]
		name := pattern[place[0]:at]
		if word, known := w.known[name]; known {
			expr.WriteString(regexp.QuoteMeta(word))
		} else {
			expr.WriteString(`([0-9A-Za-z]+)`)
			unknown = append(unknown, name)
		}
	}
	expr.WriteString(regexp.QuoteMeta(pattern[at:]))
	found := regexp.MustCompile("^" + expr.String() + "$").FindStringSubmatch(got)
	if found == nil {
		return false
	}
	for i, name := range unknown {
		w.known[name] = found[i+1]
	}
	return true
}
