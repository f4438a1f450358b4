package upstream_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/mailweir/mailweir/proxy/certs"
	"github.com/mailweir/mailweir/proxy/internal/peer"
	"github.com/mailweir/mailweir/proxy/upstream"
)

// withTLS returns a side whose server plays the script, with a certificate that we
// trust.
func withTLS(t *testing.T, script func(m *mta, config *tls.Config)) *side {
	t.Helper()
	ca := peer.NewAuthority(t)
	config := shown(ca.Server(t, "127.0.0.1"))
	addr := play(t, func(m *mta) { script(m, config) })
	return behind(t, addr, upstream.Options{TLS: upstream.RequireTLS, TLSConfig: trusting(t, certs.Client{CA: ca.File, Verify: true})})
}

// opened opens a connection that ends with the test.
func (s *side) opened(t *testing.T) *upstream.Conn {
	t.Helper()
	c, err := s.open(t, theClient())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// TLS sends records that are for itself, such as tickets: nobody's stray octets.
// What the server says is found, also when the time for its last reply is over.
func TestReadyOverTickets(t *testing.T) {
	for _, late := range []bool{false, true} {
		ticket, look, stray := make(chan bool), make(chan bool), make(chan bool)
		c := withTLS(t, func(m *mta, config *tls.Config) {
			config.ClientAuth = tls.RequestClientCert // or the ticket comes before the handshake's end
			if err := m.startsTLS(config); err != nil {
				m.t.Error(err)
			}
			close(ticket)
			m.answer("EHLO client.example", "250 mx.example")
			<-look
			m.say("421 bye")
			close(stray)
			m.over()
		}).opened(t)
		<-ticket
		if err := c.Ready(); err != nil {
			t.Error(err)
		}
		asks(t, c)
		if late {
			if _, err := c.Reply(10 * time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error(err)
			}
			if err := c.Ready(); err != nil {
				t.Error(err)
			}
		}
		close(look)
		<-stray
		if err := c.Ready(); !errors.Is(err, upstream.ErrStray) {
			t.Errorf("late %v: %v", late, err)
		}
	}
}

// joined holds back what is written, to send it at once.
type joined struct {
	net.Conn
	hold bool
	held []byte
}

func (j *joined) Write(b []byte) (int, error) {
	if j.held = append(j.held, b...); j.hold {
		return len(b), nil
	}
	_, err := j.Conn.Write(j.held)
	j.held = nil
	return len(b), err
}

// A record behind that of a reply may have been taken from the socket with it.
func TestReadyFindsWhatTLSHas(t *testing.T) {
	c := withTLS(t, func(m *mta, config *tls.Config) {
		wire := &joined{Conn: m.conn}
		m.conn = wire
		if err := m.startsTLS(config); err != nil {
			m.t.Error(err)
		}
		m.hear("EHLO client.example")
		wire.hold = true
		m.say("250 mx.example")
		wire.hold = false
		m.say("421 bye")
		m.over()
	}).opened(t)
	asks(t, c)
	if err := c.Ready(); !errors.Is(err, upstream.ErrStray) {
		t.Error(err)
	}
}

// The time for the handshake bounds nothing else.
func TestWriteLongAfterHandshake(t *testing.T) {
	const octets, handshake = 16 << 20, time.Second
	read := make(chan bool)
	s := withTLS(t, func(m *mta, config *tls.Config) {
		if err := m.startsTLS(config); err != nil {
			m.t.Error(err)
		}
		<-read
		if _, err := io.CopyN(io.Discard, m.in, octets); err != nil {
			m.t.Error(err)
		}
	})
	s.timeouts.Handshake = handshake
	began := time.Now()
	c := s.opened(t)
	time.AfterFunc(handshake-time.Since(began)+100*time.Millisecond, func() { close(read) }) // until then the server takes little
	if err := c.Write(make([]byte, octets), time.Minute); err != nil {
		t.Error(err)
	}
}
