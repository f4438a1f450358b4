package upstream_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/mailweir/mailweir/proxy/upstream"
)

func TestXFORWARD(t *testing.T) {
	for _, c := range []struct {
		name, offer string
		known       string // the client's name
		want        []string
	}{
		{"Postfix", "XFORWARD NAME ADDR PROTO HELO SOURCE PORT IDENT", "", []string{
			"XFORWARD NAME=[UNAVAILABLE] ADDR=192.0.2.7 PROTO=ESMTP HELO=client.example SOURCE=REMOTE PORT=4711 IDENT=0123456789"}},
		{"an old one", "XFORWARD NAME ADDR", "a.example", []string{"XFORWARD NAME=a.example ADDR=192.0.2.7"}},
		{"long", "XFORWARD HELO NAME ADDR PROTO", long, []string{
			"XFORWARD HELO=" + long, "XFORWARD NAME=" + long + " ADDR=192.0.2.7 PROTO=ESMTP"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			addr := play(t, func(m *mta) {
				m.say("220 mx.example")
				m.answer("EHLO relay.example", "250-mx.example", "250 "+c.offer)
				for range 2 {
					for _, line := range c.want {
						m.answer(line, "250 2.0.0 Ok")
					}
				}
				m.answer("QUIT", "221 bye")
			})
			client := theClient()
			if client.ClientName = c.known; c.known == long {
				client.Helo = long
			}
			conn, err := behind(t, addr, upstream.Options{Identity: upstream.XFORWARD}).open(t, client)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := conn.Forward(client, &patient); err != nil {
					t.Error(err)
				}
			}
			conn.Quit()
		})
	}
}

// A name is looked up once for each session.
func TestXFORWARDName(t *testing.T) {
	addr := play(t, func(m *mta) {
		m.say("220 mx.example")
		m.answer("EHLO relay.example", "250-mx.example", "250 XFORWARD NAME ADDR")
		for _, name := range []string{"a.example", "a.example", "b.example"} {
			m.answer("XFORWARD NAME="+name+" ADDR=192.0.2.7", "250 2.0.0 Ok")
		}
		m.answer("QUIT", "221 bye")
	})
	s := behind(t, addr, upstream.Options{Identity: upstream.XFORWARD}, "7.2.0.192.in-addr.arpa PTR a.example.", "a.example A 192.0.2.7")
	first, second := theClient(), theClient()
	second.ID, second.ClientName = "another", "b.example"
	conn, err := s.open(t, first)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(conn.Forward(first, &patient), conn.Forward(first, &patient), conn.Forward(second, &patient)); err != nil {
		t.Error(err)
	}
	conn.Quit()
}

// Without XFORWARD there is nothing to forward.
func TestForwardNothing(t *testing.T) {
	addr := play(t, func(m *mta) {
		m.say("220 mx.example")
		m.answer("QUIT", "221 bye")
	})
	conn, err := behind(t, addr, upstream.Options{}).open(t, theClient())
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Forward(theClient(), &patient); err != nil {
		t.Error(err)
	}
	conn.Quit()
}

func TestXFORWARDRefused(t *testing.T) {
	for _, c := range []struct {
		offer, reply string
		identity     bool
		words        string
	}{
		{"XCLIENT ADDR", "", true, "does not offer XFORWARD: set smtpd_authorized_xforward_hosts = 127.0.0.1"},
		{"XFORWARD NAME", "", true, "does not offer XFORWARD"},
		{"XFORWARD ADDR", "550 5.7.0 Error: insufficient authorization", true, "answered XFORWARD with 550 5.7.0"},
		{"XFORWARD ADDR", "421 4.3.2 later", false, "reply to XFORWARD: 421 4.3.2 later"},
		{"XFORWARD ADDR", "250 ok\r\n250 ok", false, "XFORWARD: octets that nobody asked for"},
	} {
		addr := play(t, func(m *mta) {
			m.say("220 mx.example")
			m.answer("EHLO relay.example", "250-mx.example", "250 "+c.offer)
			if c.reply != "" {
				m.answer("XFORWARD ADDR=192.0.2.7", c.reply)
			}
			m.over()
		})
		s := behind(t, addr, upstream.Options{Identity: upstream.XFORWARD})
		conn, err := s.open(t, theClient())
		if err == nil {
			err = conn.Forward(theClient(), &patient)
			conn.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.words) || errors.As(err, new(*upstream.IdentityError)) != c.identity {
			t.Errorf("%s, %s: %v", c.offer, c.reply, err)
		}
	}
}
