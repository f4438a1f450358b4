package ordeal

import (
	"bufio"
	"crypto/tls"
	"net"
	"strings"
	"time"
)

// encrypt goes over to TLS. It reports whether the session can go on.
func (s *session) encrypt(config *tls.Config) bool {
	if !strings.Contains(s.offer, "STARTTLS") {
		s.ledger.broken("no STARTTLS is offered")
		return false
	}
	if code, _ := s.do("STARTTLS"); code != 220 {
		return false
	}
	conn := tls.Client(s.conn, config)
	conn.SetDeadline(time.Now().Add(longest))
	if err := conn.Handshake(); err != nil {
		s.gone = true
		return false
	}
	s.conn, s.in = conn, bufio.NewReader(conn)
	return true
}

// ofHandshake are the faults of a handshake.
var ofHandshake = []fault{closes, resets, slow, dies}

// startTLS goes over to TLS, unless a fault strikes before.
func (v *visit) startTLS() error {
	if v.secure {
		return v.reply("STARTTLS", "503 5.5.1 There is TLS")
	}
	if ok, err := v.agree("STARTTLS", "220 2.0.0 Go on"); !ok || err != nil {
		return err
	}
	if f := draw(v.random, v.Rate, ofHandshake); f != none {
		if err := v.strike("handshake", f); err != nil {
			return err
		}
	}
	conn := tls.Server(v.cut, v.TLS)
	conn.SetDeadline(time.Now().Add(longest))
	if err := conn.Handshake(); err != nil {
		return err
	}
	conn.SetDeadline(time.Time{})
	v.forget()
	v.conn, v.in, v.secure = conn, bufio.NewReader(conn), true
	return nil
}

// A cutter is a connection that ends behind so many octets more, if it is told
// so: within a record of TLS.
type cutter struct {
	net.Conn
	told bool
	left int
}

// Write implements io.Writer.
func (c *cutter) Write(b []byte) (int, error) {
	if c.told {
		c.Conn.Write(b[:min(c.left, len(b))])
		return 0, c.Conn.Close()
	}
	return c.Conn.Write(b)
}

func (c *cutter) after(octets int) { c.told, c.left = true, octets }

// xclient takes the client's identity
// (https://www.postfix.org/XCLIENT_README.html).
func (v *visit) xclient(args string) error {
	told := map[string]string{}
	for _, attribute := range strings.Fields(args) {
		name, value, _ := strings.Cut(attribute, "=")
		told[name] = value
	}
	who := identity(told["ADDR"], told["HELO"])
	if v.client != "" || v.open {
		v.ledger.broken("another XCLIENT: " + args)
		return errOver
	}
	ok, err := v.agree("XCLIENT", "220 up.test.example ESMTP")
	if ok {
		v.forget()
		v.client = who
	}
	return err
}

// identity is how a client is known: by its address, and the name in its EHLO.
func identity(addr, name string) string { return name + " [" + addr + "]" }
