package relay_test

import (
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailweir/mailweir/proxy/relay"
)

// crowds are clients that mean no good. Each says what it says again and again,
// octet by octet if it is slow.
var crowds = map[string]struct {
	first, again string
	slow         bool
}{
	"a command that never ends":  {"EHLO ", "x", true},
	"a text that never ends":     {hello + envelope + "DATA\r\n", "x", true},
	"a hello of TLS":             {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "\x00", true},
	"HTTP":                       {"", "GET / HTTP/1.1\r\nHost: mx.example\r\n\r\n", false},
	"junk":                       {"", "\x00\xff\x80\r\x01\x0a\x1b[2J\r\n", false},
	"a line that never ends":     {"", strings.Repeat("x", 1<<10), false},
	"NOOP":                       {hello, "NOOP\r\n", false},
	"RSET":                       {hello, "RSET\r\n", false},
	"EHLO":                       {"", hello, false},
	"recipients":                 {hello + "MAIL FROM:<a@x.example>\r\n", "RCPT TO:<b@y.example>\r\n", false},
	"transactions that end late": {hello, envelope + "RSET\r\n", false},
}

// Mail goes on while crowds of such clients are there, and each of these is sent
// away in the end.
func TestFloods(t *testing.T) {
	const each = 10
	for name, c := range crowds {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(o *relay.Options) {
				o.Upstream = behind(newFleet(), o.Upstream.Name, 2*each)
				o.MaxCommands = 100
				o.MinRate = 500
				if c.slow { // others use the processors up, and so the time of the mail
					o.Timeouts.Command = time.Second
					o.Timeouts.DataBlock = time.Second
				}
			})
			var crowd sync.WaitGroup
			for range each {
				conn := r.dial()
				crowd.Go(func() { flood(conn, c.first, c.again, c.slow) })
			}
			for range 5 {
				r.deliverOne("<b@y.example>")
			}
			crowd.Wait()
			r.ended(0)
			if r.journal.with("refused") == "" {
				t.Error("nothing is in the log")
			}
		})
	}
}

// flood talks until it is sent away. It reads what it is told, or the relay
// would end it for that.
func flood(c *client, first, again string, slow bool) {
	defer c.Close()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		io.Copy(io.Discard, c.in)
	}()
	_, err := io.WriteString(c, first)
	for err == nil {
		_, err = io.WriteString(c, again)
		select {
		case <-gone:
			return
		case <-time.After(map[bool]time.Duration{true: 5 * time.Millisecond}[slow]):
		}
	}
	<-gone
}
