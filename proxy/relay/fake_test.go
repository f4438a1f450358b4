package relay_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailweir/mailweir/proxy/smtp"
)

// What a fake may do instead of a reply.
const (
	closes = "close" // closes the connection
	hangs  = "hang"  // says nothing, until the other side closes
)

// fake is an MTA on loopback that holds its client to the order of commands.
type fake struct {
	*testing.T
	addr     string
	lmtp     bool
	keywords []string
	slow     time.Duration // between the replies to a text
	aside    chan string   // what it says unasked
	// answer gives what it says to a line of that connection, "." being a whole
	// text: several replies at once if it likes, or "" for the usual one.
	answer func(conn int, line string) string

	mu      sync.Mutex
	changed *sync.Cond
	open    int
	conns   int
	said    int      // from aside
	lines   []string // with the number of the connection before them
	mails   []string // whole texts: "1 <sender> <recipient> <recipient>: text"
}

// newFake starts one. It ends with the test, when all its connections are closed.
func newFake(t *testing.T, change func(*fake)) *fake {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{T: t, addr: l.Addr().String(), keywords: []string{"PIPELINING", "8BITMIME", "SIZE 1000000", "CHUNKING"}}
	f.changed = sync.NewCond(&f.mu)
	if change != nil {
		change(f)
	}
	var done sync.WaitGroup
	done.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			done.Go(func() { f.serve(conn) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		if f.aside != nil {
			close(f.aside)
		}
		done.Wait()
	})
	return f
}

// says is an answer to lines with that beginning.
func says(begin, reply string) func(int, string) string {
	return func(_ int, line string) string {
		if strings.HasPrefix(line, begin) {
			return reply
		}
		return ""
	}
}

func (f *fake) note(what func()) {
	f.mu.Lock()
	what()
	f.mu.Unlock()
	f.changed.Broadcast()
}

// until waits for a condition.
func (f *fake) until(holds func() bool) {
	f.Helper()
	late := time.AfterFunc(10*time.Second, func() { f.note(func() { holds = func() bool { return true }; f.Error("it never came to pass") }) })
	defer late.Stop()
	f.mu.Lock()
	defer f.mu.Unlock()
	for !holds() {
		f.changed.Wait()
	}
}

// gone waits until all connections are closed.
func (f *fake) gone() {
	f.Helper()
	f.until(func() bool { return f.open == 0 })
}

// heard returns all lines but those of texts.
func (f *fake) heard() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.lines, "\n")
}

// count returns how many lines begin like that, on whatever connection.
func (f *fake) count(begin string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, l := range f.lines {
		if _, line, _ := strings.Cut(l, " "); strings.HasPrefix(line, begin) {
			n++
		}
	}
	return n
}

// made returns how many connections there have been.
func (f *fake) made() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.conns
}

// texts returns the messages that have come.
func (f *fake) texts() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.mails)
}

// wantHeard compares all lines but those of texts.
func (f *fake) wantHeard(lines ...string) {
	f.Helper()
	if got, want := f.heard(), strings.Join(lines, "\n"); got != want {
		f.Errorf("the upstream heard\n%s\nwant\n%s", got, want)
	}
}

// wantMails compares the messages that have come.
func (f *fake) wantMails(want ...string) {
	f.Helper()
	if got := f.texts(); !slices.Equal(got, want) {
		f.Errorf("the upstream has\n%q\nwant\n%q", got, want)
	}
}

// fakeConn is one of its connections.
type fakeConn struct {
	*fake
	n     int
	in    *bufio.Reader
	out   *bufio.Writer
	from  string // "" outside of a transaction
	rcpts []string
	body  strings.Builder
	bdat  bool // chunks have come
}

func (f *fake) serve(conn net.Conn) {
	defer conn.Close()
	c := &fakeConn{fake: f, in: bufio.NewReader(conn), out: bufio.NewWriter(conn)}
	f.note(func() { f.open++; f.conns++; c.n = f.conns })
	defer f.note(func() { f.open-- })
	if f.aside != nil {
		go f.sayAside(conn)
	}
	greeting := f.says(c.n, "")
	if greeting == "" {
		greeting = "220 up.example ESMTP"
	}
	if !c.reply(greeting) {
		return
	}
	for {
		if c.in.Buffered() == 0 && c.out.Flush() != nil {
			return
		}
		line, err := c.in.ReadString('\n')
		if err != nil || !c.line(strings.TrimSuffix(line, "\r\n")) {
			c.out.Flush()
			return
		}
	}
}

// sayAside says one thing unasked, on whatever connection is there.
func (f *fake) sayAside(conn net.Conn) {
	text, ok := <-f.aside
	if !ok {
		return
	}
	text, ends := strings.CutSuffix(text, closes)
	io.WriteString(conn, text)
	if ends {
		conn.Close()
	}
	f.note(func() { f.said++ })
}

func (f *fake) says(n int, line string) string {
	f.mu.Lock()
	answer := f.answer
	f.mu.Unlock()
	if answer == nil {
		return ""
	}
	return answer(n, line)
}

// reply reports whether the connection goes on.
func (c *fakeConn) reply(what string) bool {
	if text, ends := strings.CutSuffix(what, closes); ends {
		c.out.WriteString(text)
		c.out.Flush()
		return false
	}
	if text, ends := strings.CutSuffix(what, hangs); ends {
		c.out.WriteString(text)
		c.out.Flush()
		io.Copy(io.Discard, c.in)
		return false
	}
	c.out.WriteString(what + "\r\n")
	return true
}

// line serves a command.
func (c *fakeConn) line(line string) bool {
	c.note(func() { c.lines = append(c.lines, fmt.Sprint(c.n, " ", line)) })
	verb, args, _ := strings.Cut(line, " ")
	chunk, last := "", false
	if verb == "BDAT" {
		n, _ := smtp.ParseChunk([]byte(args))
		octets := make([]byte, n.Size)
		if _, err := io.ReadFull(c.in, octets); err != nil {
			return false
		}
		chunk, last = string(octets), n.Last
	}
	reply := c.says(c.n, line)
	if reply == "" {
		reply = c.usual(verb, args)
	}
	if reply[0] == '2' || reply[0] == '3' {
		c.state(verb, args, chunk)
	}
	switch {
	case !c.reply(reply), verb == "QUIT":
		return false
	case reply[:3] == "354":
		return c.out.Flush() == nil && c.text() && c.end(".")
	case last && reply[:2] == "25":
		return c.end("")
	}
	return true
}

// state keeps in step with what was answered well.
func (c *fakeConn) state(verb, args, chunk string) {
	switch verb {
	case "EHLO", "HELO", "LHLO", "RSET":
		c.reset()
	case "MAIL":
		c.from, _, _ = strings.Cut(args[len("FROM:"):], " ")
	case "RCPT":
		c.rcpts = append(c.rcpts, args[len("TO:"):])
	case "BDAT":
		c.bdat = true
		c.body.WriteString(chunk)
	}
}

func (c *fakeConn) reset() {
	c.from, c.rcpts, c.bdat = "", nil, false
	c.body.Reset()
}

// usual is what an MTA says to a command at this place.
func (c *fakeConn) usual(verb, args string) string {
	switch verb {
	case "EHLO", "LHLO":
		if c.lmtp != (verb == "LHLO") {
			return "500 5.5.1 That is not my language"
		}
		lines := append([]string{"up.example"}, c.keywords...)
		for i := range lines {
			lines[i] = "250-" + lines[i]
		}
		lines[len(lines)-1] = "250 " + lines[len(lines)-1][4:]
		return strings.Join(lines, "\r\n")
	case "MAIL":
		if c.from != "" {
			return "503 5.5.1 Nested MAIL"
		}
		return "250 2.1.0 Sender"
	case "RCPT":
		if c.from == "" || c.bdat {
			return "503 5.5.1 MAIL first"
		}
		return "250 2.1.5 Recipient " + args[len("TO:"):]
	case "DATA", "BDAT":
		if c.from == "" || len(c.rcpts) == 0 {
			return "503 5.5.1 RCPT first"
		}
		if verb == "DATA" {
			return "354 Go on"
		}
		return "250 2.0.0 Chunk"
	case "QUIT":
		return "221 2.0.0 Bye"
	case "AUTH":
		return "235 2.7.0 In"
	case "VRFY":
		return "252 2.5.0 Perhaps"
	}
	return "250 2.0.0 Ok"
}

func (c *fakeConn) text() bool {
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			return false
		}
		if line == ".\r\n" {
			return true
		}
		c.body.WriteString(line)
	}
}

// end takes a whole message, and answers it if that is still owed.
func (c *fakeConn) end(what string) bool {
	defer c.reset()
	reply := ""
	if what != "" {
		reply = c.says(c.n, what)
	}
	mail := fmt.Sprintf("%d %s %s: %s", c.n, c.from, strings.Join(c.rcpts, " "), strings.ReplaceAll(c.body.String(), "\r\n", "|"))
	c.note(func() {
		c.lines = append(c.lines, fmt.Sprint(c.n, " ."))
		if reply == "" || reply[0] != '4' && reply[0] != '5' {
			c.mails = append(c.mails, mail)
		}
	})
	switch {
	case what == "":
		return true
	case c.slow > 0:
		return c.drip(reply)
	case reply != "":
		return c.reply(reply)
	case !c.lmtp:
		return c.reply("250 2.0.0 Queued")
	}
	for _, to := range c.rcpts {
		c.reply("250 2.0.0 Delivered " + to)
	}
	return true
}

// drip says line by line, with time between them.
func (c *fakeConn) drip(reply string) bool {
	for line := range strings.Lines(reply) {
		time.Sleep(c.slow)
		if _, err := c.out.WriteString(line); err != nil || c.out.Flush() != nil {
			return false
		}
	}
	return true
}
