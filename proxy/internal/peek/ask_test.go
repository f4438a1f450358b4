//go:build unix

package peek_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/mailweir/mailweir/proxy/internal/peek"
)

// echo answers each line with its length.
func echo(conn net.Conn) {
	for in := bufio.NewReader(conn); ; {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		fmt.Fprintf(conn, "%d\n", len(line))
	}
}

// Many questions in turn each have their answer: none is missed that comes
// quickly.
func TestAsk(t *testing.T) {
	onBoth(t, func(t *testing.T, c *peek.Conn, other net.Conn) {
		go echo(other)
		c.SetReadDeadline(time.Now().Add(time.Minute))
		for i := range 2000 {
			c.Ask(append(bytes.Repeat([]byte("x"), i), '\n'))
			wantRead(t, c, fmt.Sprintf("%d\n", i+1))
		}
	})
}

// A question that the system does not take at once is asked all the same.
func TestLargeQuestion(t *testing.T) {
	onBoth(t, func(t *testing.T, c *peek.Conn, other net.Conn) {
		go echo(other)
		c.SetReadDeadline(time.Now().Add(time.Minute))
		c.SetWriteTimeout(time.Minute)
		question := append(bytes.Repeat([]byte("x"), 16<<20), '\n')
		c.Ask(question)
		wantRead(t, c, fmt.Sprintf("%d\n", len(question)))
	})
}

// Nothing is asked of one who has spoken or gone.
func TestAskedTooLate(t *testing.T) {
	onBoth(t, func(t *testing.T, c *peek.Conn, other net.Conn) {
		other.Write([]byte("stray"))
		wait(t, func() bool { something, _ := c.Look(); return something })
		c.Ask([]byte("question"))
		if n, err := c.Read(make([]byte, 100)); n != 0 || !errors.Is(err, peek.ErrAhead) {
			t.Errorf("read %d octets, %v", n, err)
		}
		wantRead(t, c, "stray")
		half, _ := other.(interface{ CloseWrite() error })
		half.CloseWrite()
		wait(t, func() bool { _, closed := c.Look(); return closed })
		c.Ask([]byte("question"))
		if n, err := c.Read(make([]byte, 100)); n != 0 || err != io.EOF {
			t.Errorf("read %d octets, %v", n, err)
		}
		c.Close()
		if got, err := io.ReadAll(other); len(got) > 0 || err != nil {
			t.Errorf("it heard %q, %v", got, err)
		}
	})
}
