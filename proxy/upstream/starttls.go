package upstream

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/mailweir/mailweir/proxy/smtp"
)

// startTLS goes over to TLS by STARTTLS (RFC 3207). If the server does not offer
// that, and need not, offered is what it does; else what it offers within TLS
// is not known yet.
func (g *Group) startTLS(c *Conn, t *Timeouts) (offered *keywords, err error) {
	r, err := g.hello(c, t)
	if err != nil {
		return nil, err
	}
	if r.Code != 250 {
		if g.TLS == Opportunistic && r.Class() == 5 {
			return nil, nil // it knows HELO only
		}
		return nil, fmt.Errorf("reply to %s: %s", g.helloVerb(), short(r))
	}
	k := keywordsOf(r.Wire)
	if !k.has("STARTTLS") {
		if g.TLS == Opportunistic {
			return &k, nil
		}
		return nil, errNoSTARTTLS
	}
	r, err = c.ask("STARTTLS", t.Other)
	switch {
	case errors.Is(err, ErrStray):
		return nil, fmt.Errorf("STARTTLS: there is more than its reply, which someone in between may have added: %w", err)
	case err != nil:
		return nil, &tlsError{c.server, fmt.Errorf("STARTTLS: %w", err)}
	case r.Code != 220:
		return nil, &tlsError{c.server, fmt.Errorf("reply to STARTTLS: %s", short(r))}
	}
	return nil, g.handshake(c, t)
}

var errNoSTARTTLS = errors.New("it does not offer STARTTLS: give it a certificate (in Postfix smtpd_tls_cert_file and smtpd_tls_security_level = may), or set tls.mode to opportunistic or none")

// handshake goes over to TLS. What the server has said before is void.
func (g *Group) handshake(c *Conn, t *Timeouts) error {
	config := c.witness.encryption(g.TLSConfig(c.name()))
	if err := c.secure(config, t.Handshake); err != nil {
		return &tlsError{c.server, fmt.Errorf("TLS handshake: %w", hinted(g, err))}
	}
	g.noteTLS(c.server, false)
	return nil
}

// hinted says more about a failed handshake where that is known.
func hinted(g *Group, err error) error {
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &record) && g.TLS == ImplicitTLS:
		return fmt.Errorf("%w: it speaks in clear at first, set tls.mode to required", err)
	case g.TLS == ImplicitTLS && g.Identity == PROXY:
		return fmt.Errorf("%w (it must take a PROXY header before it)", err)
	}
	return err
}

// secure makes TLS of the connection. The readers of before are out of reach.
func (c *Conn) secure(config *tls.Config, patience time.Duration) error {
	layer := c.socket.Layer()
	conn := tls.Client(layer, config)
	conn.SetDeadline(time.Now().Add(patience))
	if err := conn.Handshake(); err != nil {
		return err
	}
	conn.SetDeadline(time.Time{}) // what is written later has its own time
	c.replies.Release()
	c.conn, c.layer, c.replies = conn, layer, smtp.NewReplyReader(conn)
	return nil
}

// name returns the name that the server's certificate should be for, "" if it
// has none.
func (c *Conn) name() string {
	if c.host != "" {
		return c.host
	}
	host, _, err := net.SplitHostPort(c.server)
	if err != nil {
		return ""
	}
	return host
}

// tlsError says that there is no TLS with a server that offers it.
type tlsError struct {
	server string
	err    error
}

func (e *tlsError) Error() string { return e.err.Error() }
func (e *tlsError) Unwrap() error { return e.err }

// plainAgain reports whether the connection that failed with err is to be made
// once more, in clear: set Conn.plain. It logs that once for each server, until
// TLS works again.
func (g *Group) plainAgain(err error) bool {
	failed := g.withoutTLS(err)
	if failed != nil && g.noteTLS(failed.server, true) {
		g.fleet.log.Warn("no TLS with the upstream: its sessions go on in clear, as tls.mode is opportunistic",
			"upstream", g.Name, "server", failed.server, "error", failed.Error())
	}
	return failed != nil
}

// withoutTLS returns the failure of TLS that need not be, nil if err is another
// one.
func (g *Group) withoutTLS(err error) *tlsError {
	var failed *tlsError
	if g.TLS != Opportunistic || !errors.As(err, &failed) {
		return nil
	}
	return failed
}

// maxUnclear bounds what is noted: the DNS can name ever new servers.
const maxUnclear = 1024

// noteTLS takes note of whether a server's TLS has failed. It reports whether
// that is new.
func (l *learned) noteTLS(server string, failed bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.unclear[server] == failed {
		return false
	}
	if !failed {
		delete(l.unclear, server)
		return true
	}
	if l.unclear == nil || len(l.unclear) == maxUnclear {
		l.unclear = map[string]bool{}
	}
	l.unclear[server] = true
	return true
}
