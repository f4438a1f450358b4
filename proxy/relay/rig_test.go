package relay_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/mailweir/mailweir/proxy/relay"
	"github.com/mailweir/mailweir/proxy/upstream"
)

// rig is a relay between real sockets.
type rig struct {
	*testing.T
	relay   *relay.Relay
	fleet   *upstream.Fleet
	limiter *relay.Limiter
	journal *journal
	addr    string
	up      *mta
}

// newRig starts a relay before an MTA that takes all. Both end with the test.
func newRig(t *testing.T, change func(*relay.Options)) *rig {
	t.Helper()
	r := &rig{T: t, fleet: newFleet(), journal: &journal{}, up: newMTA(t)}
	o := settings(t, slog.New(r.journal))
	o.Upstream = behind(r.fleet, r.up.addr, maxConnections)
	if change != nil {
		change(&o)
	}
	r.limiter = o.Limiter
	var err error
	if r.relay, err = relay.New(o); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = l.Addr().String()
	served := make(chan error, 1)
	go func() { served <- r.relay.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		defer cancel()
		r.relay.Shutdown(ctx)
		if err := <-served; err != nil {
			t.Error(err)
		}
		if sessions, networks := r.limiter.Counted(); sessions != 0 || networks != 0 || r.fleet.Held() != 0 {
			t.Errorf("%d sessions of %d networks with %d upstream connections are still counted", sessions, networks, r.fleet.Held())
		}
	})
	return r
}

// client is a client of a rig. Each of its steps fails the test after a while.
type client struct {
	*testing.T
	net.Conn
	in *bufio.Reader
}

func (r *rig) dial() *client {
	r.Helper()
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(time.Minute))
	return &client{r.T, conn, bufio.NewReader(conn)}
}

// say sends octets and compares the codes of the replies to them.
func (c *client) say(octets string, codes ...string) {
	c.Helper()
	if _, err := io.WriteString(c, octets); err != nil {
		c.Fatal(err)
	}
	for _, want := range codes {
		if got := c.reply(); !strings.HasPrefix(got, want) {
			c.Fatalf("to %.100q the reply is %q, want %s", octets, got, want)
		}
	}
}

// reply returns the last line of the next reply, "" at the end.
func (c *client) reply() string {
	for {
		line, err := c.in.ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			c.Helper()
			c.Error(err)
		}
		if len(line) < 4 || line[3] == ' ' {
			return line
		}
	}
}

// wantEnd checks that the relay has closed.
func (c *client) wantEnd() {
	c.Helper()
	if got := c.reply(); got != "" {
		c.Errorf("there is a further reply: %q", got)
	}
}
