package ordeal

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// A session is the client's side of a connection to the relay.
type session struct {
	conn   net.Conn
	in     *bufio.Reader
	ledger *Ledger
	name   string // in EHLO
	offer  string // the reply to EHLO
	gone   bool   // the connection is lost, or at its end
}

// longest is how long a client waits for anything.
const longest = time.Minute

// greet begins a session, nil if there is no relay, or it takes nobody now.
func (w *worker) greet() *session {
	dialer := net.Dialer{Timeout: longest, LocalAddr: &net.TCPAddr{IP: w.addr}}
	conn, err := dialer.Dial("tcp4", w.Addr)
	if err != nil {
		w.Ledger.count("session: no relay")
		return nil
	}
	s := &session{conn: conn, in: bufio.NewReader(conn), ledger: w.Ledger, name: w.name}
	if code, _ := s.reply(); code == 220 && s.hello() && (w.TLS == nil || s.encrypt(w.TLS) && s.hello()) {
		w.Ledger.count("session: begun")
		return s
	}
	w.Ledger.count("session: not greeted")
	s.quit()
	return nil
}

// hello reports whether the relay takes the client.
func (s *session) hello() bool {
	for _, verb := range []string{"EHLO", "HELO"} {
		code, text := s.do(verb + " " + s.name)
		if s.offer = text; code == 250 {
			return true
		}
	}
	return false
}

// do sends a command and reads the reply.
func (s *session) do(command string) (code int, text string) {
	if !s.write(command + "\r\n") {
		return 0, ""
	}
	return s.reply()
}

func (s *session) write(text string) bool {
	s.conn.SetWriteDeadline(time.Now().Add(longest))
	if _, err := io.WriteString(s.conn, text); err != nil {
		// A reply may be there still: a relay that goes says why.
		return false
	}
	return true
}

// reply reads a reply; its code is 0 if none came. After 421 there is no more.
func (s *session) reply() (code int, text string) {
	if s.gone {
		return 0, ""
	}
	s.conn.SetReadDeadline(time.Now().Add(longest))
	for {
		line, err := s.in.ReadString('\n')
		if text += line; err != nil {
			if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
				s.ledger.broken("the relay has kept a client waiting for " + longest.String())
			}
			s.gone = true
			return 0, text
		}
		if len(line) < 6 || !strings.HasSuffix(line, "\r\n") || line[3] != ' ' && line[3] != '-' {
			s.ledger.broken(fmt.Sprintf("not a reply: %.100q", line))
			s.gone = true
			return 0, text
		}
		if line[3] == ' ' {
			fmt.Sscanf(line, "%d", &code)
			s.gone = code == 421
			return code, text
		}
	}
}

// reset ends a transaction, and reports whether the session can go on.
func (s *session) reset() bool {
	code, _ := s.do("RSET")
	return code == 250
}

// quit ends the session; the last word is not waited for.
func (s *session) quit() {
	if !s.gone {
		s.write("QUIT\r\n")
	}
	s.conn.Close()
}
