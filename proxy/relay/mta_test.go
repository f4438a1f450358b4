package relay_test

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mailweir/mailweir/proxy/smtp"
)

// mta is an upstream behind a socket that takes all, and remembers of messages
// what is needed to compare them.
type mta struct {
	addr string
	done sync.WaitGroup

	mu       sync.Mutex
	changed  *sync.Cond
	open     int
	commands []string
	messages []string      // digests of those that were complete
	hold     chan struct{} // at end of data, when not nil: wait for it
}

func newMTA(t testing.TB) *mta {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &mta{addr: l.Addr().String()}
	m.changed = sync.NewCond(&m.mu)
	m.done.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			m.note(func() { m.open++ })
			m.done.Go(func() { m.serve(conn) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		m.done.Wait() // for the relay to close its connections
	})
	return m
}

func (m *mta) note(what func()) {
	m.mu.Lock()
	what()
	m.mu.Unlock()
	m.changed.Broadcast()
}

// wait waits until a condition holds.
func (m *mta) wait(until func() bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for !until() {
		m.changed.Wait()
	}
}

// said waits for a command.
func (m *mta) said(command string) {
	m.wait(func() bool { return slices.Contains(m.commands, command) })
}

func (m *mta) serve(conn net.Conn) {
	defer m.note(func() { m.open-- })
	defer conn.Close()
	in, out := bufio.NewReader(conn), bufio.NewWriterSize(conn, 1<<16)
	out.WriteString("220 up.example ESMTP\r\n")
	digest := sha256.New()
	for {
		if in.Buffered() == 0 && out.Flush() != nil {
			return
		}
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		verb, args, _ := strings.Cut(strings.TrimSuffix(line, "\r\n"), " ")
		if verb != "HELP" { // of which there are many
			m.note(func() { m.commands = append(m.commands, strings.TrimSuffix(line, "\r\n")) })
		}
		switch verb {
		case "EHLO":
			out.WriteString("250-up.example\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 8BITMIME\r\n")
		case "DATA":
			out.WriteString("354 Go on\r\n")
			out.Flush()
			if readText(in, digest) != nil {
				return
			}
			m.take(digest)
			out.WriteString("250 2.0.0 Queued\r\n")
		case "BDAT":
			c, _ := smtp.ParseChunk([]byte(args))
			if _, err := io.CopyN(digest, in, c.Size); err != nil {
				return
			}
			if c.Last {
				m.take(digest)
			}
			out.WriteString("250 2.0.0 Chunk\r\n")
		case "HELP":
			out.WriteString(strings.Repeat("214-"+strings.Repeat("help ", 90)+"\r\n", 10) + "214 end\r\n")
		case "QUIT":
			out.WriteString("221 Bye\r\n")
			out.Flush()
			return
		default:
			out.WriteString("250 Ok\r\n")
		}
	}
}

func (m *mta) take(digest hash.Hash) {
	m.mu.Lock()
	hold := m.hold
	m.mu.Unlock()
	m.note(func() { m.commands = append(m.commands, "end of data") })
	if hold != nil {
		<-hold
	}
	m.note(func() { m.messages = append(m.messages, fmt.Sprintf("%x", digest.Sum(nil))) })
	digest.Reset()
}

// readText reads a text in wire form, up to CRLF.CRLF.
func readText(in *bufio.Reader, w io.Writer) error {
	start := true
	for {
		line, err := in.ReadSlice('\n')
		if err != nil && err != bufio.ErrBufferFull {
			return err
		}
		if start && string(line) == ".\r\n" {
			return nil
		}
		w.Write(line)
		start = err == nil && len(line) > 1 && line[len(line)-2] == '\r'
	}
}
