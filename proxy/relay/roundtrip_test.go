package relay_test

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/mailweir/mailweir/proxy/relay"
)

// A group of commands with ten recipients waits for the upstream once: this one
// says nothing before it has all of them.
func TestGroupIsOneRoundTrip(t *testing.T) {
	const recipients = 10
	group := "MAIL FROM:<a@x.example>\r\n" + strings.Repeat("RCPT TO:<b@y.example>\r\n", recipients) + "DATA\r\n"
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	heard := make(chan string, 1)
	go func() { heard <- answerWhole(l, group) }()
	r := newRig(t, func(o *relay.Options) { o.Upstream = behind(newFleet(), l.Addr().String(), 1) })
	c := r.dial()
	io.WriteString(c, hello)
	c.replies(2)
	io.WriteString(c, group)
	c.replies(1 + recipients + 1)
	io.WriteString(c, ".\r\n")
	c.replies(1)
	c.Close()
	if got := <-heard; got != group {
		t.Errorf("before it answered the upstream had\n%s\nwant\n%s", got, group)
	}
}

// answerWhole serves one session, whose transaction it answers when it has so
// much as the group is long. It returns what it had then.
func answerWhole(l net.Listener, group string) string {
	conn, err := l.Accept()
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	in := bufio.NewReader(conn)
	io.WriteString(conn, "220 up.example ESMTP\r\n")
	in.ReadString('\n')
	io.WriteString(conn, "250-up.example\r\n250 PIPELINING\r\n")
	got := make([]byte, len(group))
	n, _ := io.ReadFull(in, got)
	io.WriteString(conn, strings.Repeat("250 Ok\r\n", strings.Count(group, "\r\n")-1)+"354 Go on\r\n")
	in.ReadString('\n')
	io.WriteString(conn, "250 Ok\r\n")
	in.ReadString('\n') // QUIT
	return string(got[:n])
}

// replies reads so many positive ones.
func (c *client) replies(n int) {
	c.Helper()
	for n > 0 {
		line, err := c.in.ReadString('\n')
		if err != nil || line[0] != '2' && line[0] != '3' {
			c.Fatalf("reply %q, %v", line, err)
		}
		if line[3] == ' ' {
			n--
		}
	}
}
