package upstream_test

import (
	"crypto/tls"
	"errors"
	"net"
	"testing"

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
