package main

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/smtp"
)

// sink is an MTA for the demo: it accepts all mail and prints it.
type sink struct {
	mu    sync.Mutex // one message is printed at a time
	out   io.Writer
	count int
}

func (k *sink) serve(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			(&sinkSession{sink: k, conn: conn, in: smtp.NewReader(conn)}).serve()
		}()
	}
}

// sinkSession is one connection to the sink. It speaks just as much SMTP as
// the relay before it needs.
type sinkSession struct {
	sink     *sink
	conn     net.Conn
	in       *smtp.Reader
	envelope []string
}

func (s *sinkSession) say(code uint16, text string) {
	s.conn.Write(smtp.AppendReply(nil, filters.Reply{Code: code, Text: text}))
}

func (s *sinkSession) serve() {
	s.say(220, "sink ESMTP")
	for {
		line, err := s.in.ReadLine(4 << 10)
		if err != nil {
			return
		}
		cmd := smtp.ParseCommand(line)
		switch cmd.Verb {
		case smtp.EHLO:
			s.say(250, "sink\nPIPELINING\n8BITMIME\nSMTPUTF8\nSIZE 0")
		case smtp.MAIL, smtp.RCPT:
			s.envelope = append(s.envelope, cmd.Verb.String()+" "+string(cmd.Args))
			s.say(250, "Ok")
		case smtp.DATA:
			s.say(354, "Go ahead")
			if s.message() != nil {
				return
			}
		case smtp.RSET:
			s.envelope = nil
			s.say(250, "Ok")
		case smtp.QUIT:
			s.say(221, "Bye")
			return
		default:
			s.say(250, "Ok")
		}
	}
}

// maxPrinted bounds what is printed of a message, in octets.
const maxPrinted = 64 << 10

// message reads a text and prints the message.
func (s *sinkSession) message() error {
	var content strings.Builder
	size := 0
	var text smtp.Text
	for {
		p := text.Next(s.in.Pending())
		p.Content(func(b []byte) {
			size += len(b)
			content.Write(b[:min(len(b), maxPrinted-content.Len())])
		})
		s.in.Discard(p.Used)
		if p.End {
			break
		}
		if p.Used == 0 {
			if err := s.in.Fill(); err != nil {
				return err
			}
		}
	}
	s.say(250, "Ok: printed as message "+fmt.Sprint(s.print(content.String(), size)))
	s.envelope = nil
	return nil
}

func (s *sinkSession) print(content string, size int) int {
	s.sink.mu.Lock()
	defer s.sink.mu.Unlock()
	s.sink.count++
	fmt.Fprintf(s.sink.out, "--- message %d, %d octets\n%s\n\n%s", s.sink.count, size,
		strings.Join(s.envelope, "\n"), strings.ReplaceAll(content, "\r\n", "\n"))
	if len(content) < size {
		fmt.Fprintf(s.sink.out, "[... %d more octets]\n", size-len(content))
	}
	fmt.Fprintf(s.sink.out, "--- end of message %d\n", s.sink.count)
	return s.sink.count
}
