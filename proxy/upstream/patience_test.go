package upstream_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailweir/mailweir/proxy/upstream"
)

// different are time-outs of their own length each, to tell them apart.
var different = upstream.Timeouts{Connect: time.Minute, Handshake: 3 * time.Second, Greeting: 5 * time.Second, Other: 7 * time.Second}

// offers plays an upstream up to the reply to EHLO.
func offers(keyword string) func(*mta) {
	return func(m *mta) {
		m.say("220 mx.example")
		m.answer("EHLO relay.example", "250-mx.example", "250 "+keyword)
	}
}

// waits are what a server may leave us waiting for, and how long that may last.
var waits = []struct {
	name   string
	o      upstream.Options
	script func(*mta)
	words  string
	took   time.Duration
}{
	{"no greeting", upstream.Options{}, func(*mta) {}, "no greeting", 5 * time.Second},
	{"half a greeting", upstream.Options{}, func(m *mta) { m.say("220-mx.example") }, "no greeting", 5 * time.Second},
	{"nor behind a header", upstream.Options{Identity: upstream.PROXY, ProxyVersion: 1}, func(m *mta) { m.hear(v1) }, "no greeting", 5 * time.Second},
	{"a greeting that drips", upstream.Options{}, func(m *mta) {
		for range 100 {
			if _, err := m.conn.Write([]byte("220-mx.example\r\n")); err != nil {
				return
			}
			time.Sleep(time.Second)
		}
	}, "no greeting", 5 * time.Second},
	{"no reply to EHLO", upstream.Options{Identity: upstream.XCLIENT}, func(m *mta) {
		m.say("220 mx.example")
		m.hear("EHLO relay.example")
	}, "EHLO", 7 * time.Second},
	{"EHLO is not read", upstream.Options{Identity: upstream.XCLIENT}, func(m *mta) {
		m.say("220 mx.example")
		time.Sleep(time.Minute)
	}, "EHLO", 7 * time.Second},
	{"no reply to STARTTLS", upstream.Options{TLS: upstream.RequireTLS}, func(m *mta) {
		offers("STARTTLS")(m)
		m.hear("STARTTLS")
	}, "STARTTLS", 7 * time.Second},
	{"no handshake", upstream.Options{TLS: upstream.RequireTLS}, func(m *mta) {
		offers("STARTTLS")(m)
		m.answer("STARTTLS", "220 go ahead")
		m.in.Peek(1)
	}, "TLS handshake", 3 * time.Second},
	{"no implicit one", upstream.Options{TLS: upstream.ImplicitTLS}, func(m *mta) { m.in.Peek(1) }, "TLS handshake", 3 * time.Second},
	{"no reply to XCLIENT", upstream.Options{Identity: upstream.XCLIENT}, func(m *mta) {
		offers("XCLIENT ADDR")(m)
		m.hear("XCLIENT ADDR=192.0.2.7")
	}, "XCLIENT", 5 * time.Second},
}

// Each wait for a server has its end.
func TestPatience(t *testing.T) {
	for _, c := range waits {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				err := unanswered(t, c.o, different, c.script)
				if took := time.Since(began); took != c.took {
					t.Errorf("took %v, want %v", took, c.took)
				}
				if !errors.Is(err, os.ErrDeadlineExceeded) || !strings.Contains(err.Error(), c.words) || errors.As(err, new(*upstream.IdentityError)) {
					t.Error(err)
				}
			})
		})
	}
}

// unanswered opens a connection to a server that does what the script says and then
// hears all that comes, without a word.
func unanswered(t *testing.T, o upstream.Options, times upstream.Timeouts, script func(*mta)) error {
	t.Helper()
	o.TLSConfig = anyone
	s := behind(t, "192.0.2.25:25", o)
	s.timeouts = times
	var server sync.WaitGroup
	t.Cleanup(server.Wait)
	s.fleet.Dial = func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		server.Go(func() {
			m := &mta{t, theirs, bufio.NewReader(theirs), 0}
			script(m)
			m.in.WriteTo(io.Discard)
			theirs.Close()
		})
		return ours, nil
	}
	conn, err := s.open(t, theClient())
	if err == nil {
		conn.Close()
	}
	return err
}

// anyone is trusted.
func anyone(string) *tls.Config { return &tls.Config{InsecureSkipVerify: true} }
