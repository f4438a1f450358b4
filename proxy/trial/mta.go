package trial

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/relay"
	"github.com/mailweir/mailweir/proxy/smtp"
	"github.com/mailweir/mailweir/proxy/upstream"
)

// mta is what stands behind an imagined relay. It listens on loopback, takes
// everything and delivers nothing.
type mta struct {
	socket net.Listener
	done   sync.WaitGroup
}

func listenMTA() (*mta, error) {
	socket, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("no socket for the imagined upstream: %w", err)
	}
	m := &mta{socket: socket}
	m.done.Go(m.serve)
	return m, nil
}

// group returns the group of servers that the MTA makes up by itself.
func (m *mta) group(o relay.Options) *upstream.Group {
	at := m.socket.Addr().(*net.TCPAddr)
	return upstream.NewFleet(filters.Env{Log: o.Log, Now: time.Now}).Group(upstream.Options{
		Name:           "imagined",
		Hostname:       o.Hostname,
		Servers:        []upstream.Server{{Host: at.IP.String(), Port: uint16(at.Port), Weight: 1}},
		MaxConnections: 1,
	})
}

// close waits until the sessions are over: their relay ends them.
func (m *mta) close() {
	m.socket.Close()
	m.done.Wait()
}

func (m *mta) serve() {
	for {
		conn, err := m.socket.Accept()
		if err != nil {
			return
		}
		m.done.Go(func() {
			defer conn.Close()
			(&mtaSession{conn: conn, in: smtp.NewReader(conn)}).serve()
		})
	}
}

type mtaSession struct {
	conn net.Conn
	in   *smtp.Reader
}

func (s *mtaSession) say(code uint16, text string) {
	s.conn.Write(smtp.AppendReply(nil, filters.Reply{Code: code, Text: text}))
}

// mtaLine bounds a line of the relay, which has bounds of its own.
const mtaLine = 64 << 10

// mtaOffer is what most MTAs offer. SIZE without a limit leaves that to the
// chain.
const mtaOffer = "imagined\nPIPELINING\n8BITMIME\nENHANCEDSTATUSCODES\nSMTPUTF8\nDSN\nSIZE 0"

func (s *mtaSession) serve() {
	s.say(220, "imagined ESMTP")
	for {
		line, err := s.in.ReadLine(mtaLine)
		if err != nil {
			return
		}
		switch smtp.ParseCommand(line).Verb {
		case smtp.EHLO:
			s.say(250, mtaOffer)
		case smtp.MAIL:
			s.say(250, "2.1.0 Ok, says the imagined upstream")
		case smtp.RCPT:
			s.say(250, "2.1.5 Ok, says the imagined upstream")
		case smtp.DATA:
			s.say(354, "Go ahead, says the imagined upstream")
			if s.swallow() != nil {
				return
			}
			s.say(250, "2.0.0 Ok, says the imagined upstream: nothing is delivered")
		case smtp.VRFY, smtp.EXPN:
			s.say(252, "2.5.0 The imagined upstream knows nobody")
		case smtp.QUIT:
			s.say(221, "2.0.0 Bye")
			return
		default:
			s.say(250, "2.0.0 Ok, says the imagined upstream")
		}
	}
}

// swallow reads the text of a message.
func (s *mtaSession) swallow() error {
	var text smtp.Text
	for {
		p := text.Next(s.in.Pending())
		s.in.Discard(p.Used)
		if p.End {
			return nil
		}
		if p.Used == 0 {
			if err := s.in.Fill(); err != nil {
				return err
			}
		}
	}
}
