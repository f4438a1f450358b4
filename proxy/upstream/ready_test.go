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

// TLS sends records that are for itself, such as tickets: nobody's stray octets.
func TestReadyOverTickets(t *testing.T) {
	ca := peer.NewAuthority(t)
	good := ca.Server(t, "127.0.0.1")
	ticket, look, stray := make(chan bool), make(chan bool), make(chan bool)
	addr := play(t, func(m *mta) {
		config := shown(good)
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
	})
	c, err := behind(t, addr, upstream.Options{TLS: upstream.RequireTLS, TLSConfig: trusting(t, certs.Client{CA: ca.File, Verify: true})}).open(t, theClient())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	<-ticket
	if err := c.Ready(); err != nil {
		t.Error(err)
	}
	asks(t, c)
	close(look)
	<-stray
	if err := c.Ready(); !errors.Is(err, upstream.ErrStray) {
		t.Error(err)
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
	ca := peer.NewAuthority(t)
	good := ca.Server(t, "127.0.0.1")
	addr := play(t, func(m *mta) {
		wire := &joined{Conn: m.conn}
		m.conn = wire
		if err := m.startsTLS(shown(good)); err != nil {
			m.t.Error(err)
		}
		m.hear("EHLO client.example")
		wire.hold = true
		m.say("250 mx.example")
		wire.hold = false
		m.say("421 bye")
		m.over()
	})
	c, err := behind(t, addr, upstream.Options{TLS: upstream.RequireTLS, TLSConfig: trusting(t, certs.Client{CA: ca.File, Verify: true})}).open(t, theClient())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	asks(t, c)
	if err := c.Ready(); !errors.Is(err, upstream.ErrStray) {
		t.Error(err)
	}
}

// What the server says is found also when the time for its last reply is over.
func TestReadyLater(t *testing.T) {
	ca := peer.NewAuthority(t)
	good := ca.Server(t, "127.0.0.1")
	look, stray := make(chan bool), make(chan bool)
	addr := play(t, func(m *mta) {
		if err := m.startsTLS(shown(good)); err != nil {
			m.t.Error(err)
		}
		m.answer("EHLO client.example", "250 mx.example")
		<-look
		m.say("421 bye")
		close(stray)
		m.over()
	})
	c, err := behind(t, addr, upstream.Options{TLS: upstream.RequireTLS, TLSConfig: trusting(t, certs.Client{CA: ca.File, Verify: true})}).open(t, theClient())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	asks(t, c)
	if _, err := c.Reply(10 * time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	if err := c.Ready(); err != nil {
		t.Error(err)
	}
	close(look)
	<-stray
	if err := c.Ready(); !errors.Is(err, upstream.ErrStray) {
		t.Error(err)
	}
}

// The time for the handshake bounds nothing else.
func TestWriteLongAfterHandshake(t *testing.T) {
	const octets, handshake = 16 << 20, time.Second
	ca := peer.NewAuthority(t)
	good := ca.Server(t, "127.0.0.1")
	read := make(chan bool)
	addr := play(t, func(m *mta) {
		if err := m.startsTLS(shown(good)); err != nil {
			m.t.Error(err)
		}
		<-read
		if _, err := io.CopyN(io.Discard, m.in, octets); err != nil {
			m.t.Error(err)
		}
	})
	s := behind(t, addr, upstream.Options{TLS: upstream.RequireTLS, TLSConfig: trusting(t, certs.Client{CA: ca.File, Verify: true})})
	s.timeouts.Handshake = handshake
	began := time.Now()
	c, err := s.open(t, theClient())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	time.AfterFunc(handshake-time.Since(began)+100*time.Millisecond, func() { close(read) }) // until then the server takes little
	if err := c.Write(make([]byte, octets), time.Minute); err != nil {
		t.Error(err)
	}
}
