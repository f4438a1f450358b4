package proxy_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// A throng is clients that send one message after the other, as MTAs do: what is
// answered with 4xx is tried again.
type throng struct {
	at      string
	stop    chan struct{}
	clients sync.WaitGroup

	next     atomic.Int64 // message
	accepted atomic.Int64 // messages
	told     atomic.Int64 // attempts that were ended by a 4xx
	failed   chan error   // what must not happen
}

// throngSize is how many clients there are, of which each second one sends
// several messages in a session.
const throngSize = 12

func gather(at string) *throng {
	c := &throng{at: at, stop: make(chan struct{}), failed: make(chan error, throngSize)}
	for i := range throngSize {
		c.clients.Go(func() {
			if err := c.send(1 + i%2*4); err != nil {
				c.failed <- err
			}
		})
	}
	return c
}

// leave ends the clients, and checks that the sink has all that was
// acknowledged, once.
func (c *throng) leave(t *testing.T, sink *peer.Recorder) {
	t.Helper()
	close(c.stop)
	c.clients.Wait()
	close(c.failed)
	for err := range c.failed {
		t.Error(err)
	}
	seen := map[string]int{}
	for _, m := range sink.Messages() {
		seen[m.From]++
	}
	double := 0
	for _, n := range seen {
		double += n - 1
	}
	if accepted := c.accepted.Load(); int64(len(seen)) != accepted || double > 0 {
		t.Errorf("%d messages were acknowledged, %d have come, %d of them again", accepted, len(seen), double)
	}
	t.Logf("%d messages, %d attempts were told to come again", c.accepted.Load(), c.told.Load())
}

// pace waits until so many more messages were acknowledged.
func (c *throng) pace(t *testing.T, more int64) {
	t.Helper()
	want := c.accepted.Load() + more
	until(t, fmt.Sprintf("%d more messages", more), func() bool { return c.accepted.Load() >= want || len(c.failed) > 0 })
}

// errAgain is a 4xx.
var errAgain = errors.New("try again")

// send sends messages until the end, each until it is acknowledged.
func (c *throng) send(perSession int) error {
	pending := ""
	for {
		select {
		case <-c.stop:
			if pending == "" {
				return nil
			}
		default:
		}
		err := c.session(perSession, &pending)
		if errors.Is(err, errAgain) {
			c.told.Add(1)
			continue
		}
		if err != nil {
			return err
		}
	}
}

// session is one session. pending is the message that is to be sent, "" once it
// was acknowledged.
func (c *throng) session(messages int, pending *string) error {
	conn, err := net.DialTimeout("tcp", c.at, patience)
	if err != nil {
		return fmt.Errorf("refused: %w", err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(3 * patience))
	d := dialogue{conn, bufio.NewReader(conn)}
	if err := d.say("", "220"); err != nil {
		return err
	}
	if err := d.say("EHLO client.test.example\r\n", "250"); err != nil {
		return err
	}
	for range messages {
		if *pending == "" {
			*pending = "m" + strconv.FormatInt(c.next.Add(1), 10) + "@test.example"
		}
		if err := d.message(*pending); err != nil {
			return err
		}
		c.accepted.Add(1)
		*pending = ""
	}
	return d.say("QUIT\r\n", "221")
}

// dialogue is a client's side of a session.
type dialogue struct {
	conn net.Conn
	in   *bufio.Reader
}

// message sends a message in pieces, as over a slow line.
func (d dialogue) message(from string) error {
	for _, step := range []struct{ text, code string }{
		{"MAIL FROM:<" + from + ">\r\n", "250"},
		{"RCPT TO:<b@test.example>\r\n", "250"},
		{"DATA\r\n", "354"},
	} {
		if err := d.say(step.text, step.code); err != nil {
			return err
		}
	}
	for range 4 {
		time.Sleep(time.Millisecond)
		if _, err := io.WriteString(d.conn, strings.Repeat("x", 70)+"\r\n"); err != nil {
			return fmt.Errorf("in the text: %w", err)
		}
	}
	return d.say(".\r\n", "250")
}

func (d dialogue) say(text, code string) error {
	_, wrote := io.WriteString(d.conn, text)
	for {
		line, err := d.in.ReadString('\n')
		switch {
		case err != nil:
			return fmt.Errorf("instead of a reply to %q: %w (%v)", text, err, wrote)
		case strings.HasPrefix(line, "4"):
			return errAgain
		case !strings.HasPrefix(line, code):
			return fmt.Errorf("to %q: want %s, got %q", text, code, line)
		case len(line) > 3 && line[3] == ' ':
			return nil
		}
	}
}
