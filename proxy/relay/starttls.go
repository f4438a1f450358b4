package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"os"

	"github.com/mailweir/mailweir/proxy/smtp"
)

// starttls serves STARTTLS (RFC 3207). What was known of the client in clear is
// forgotten, and so is what it has sent behind the command: whoever stands in
// between could have written that (CVE-2011-0411).
func (s *session) starttls(cmd smtp.Command) error {
	if s.relay.TLS == nil {
		return s.extra(cmd)
	}
	if d := s.run.Command(cmd.Verb.String(), string(cmd.Args)); d.Action != 0 {
		return s.refuse(d)
	}
	switch {
	case len(cmd.Args) > 0:
		s.say(noArgs)
		return nil
	case s.encrypted():
		s.say(tlsActive)
		return nil
	case !s.greeted:
		s.say(helloFirst)
		return nil
	}
	s.forget("starttls")
	if n := s.in.Buffered(); n > 0 {
		s.log(slog.LevelWarn, "threw away what was sent in clear behind STARTTLS", "octets", n)
		s.in.Discard(n)
	}
	s.in.Release()
	s.say(startTLS)
	if err := s.flush(); err != nil {
		return err
	}
	if s.up != nil && s.group.TellsTLS() {
		s.quitUpstream() // that the client is encrypted now, a new connection is told
	}
	return s.encrypt()
}

// encrypted reports whether the client's connection is, here or at the proxy
// that tells of it.
func (s *session) encrypted() bool { return s.info.TLS.Version != "" }

// mustEncrypt reports whether a command is refused for want of TLS (RFC 3207
// section 4). BDAT is not: it finds no transaction, and its chunk, which follows
// in any case, is no commands.
func (s *session) mustEncrypt(v smtp.Verb) bool {
	if s.relay.TLS == nil || !s.relay.TLS.Require || s.encrypted() {
		return false
	}
	return v != smtp.NOOP && v != smtp.EHLO && v != smtp.STARTTLS && v != smtp.QUIT && v != smtp.BDAT
}

// handshakeFailed logs why there is no TLS. Nobody is there who could read a reply.
func (s *session) handshakeFailed(err error) {
	late := errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded)
	switch {
	case s.isDraining():
	case late:
		s.relay.tally.limit("handshake_too_slow")
		s.log(slog.LevelInfo, "TLS handshake failed", "filter", limits, "reason", "handshake_too_slow", "error", smtp.Clean(err.Error()))
	default:
		s.log(slog.LevelInfo, "TLS handshake failed", "error", smtp.Clean(err.Error()))
	}
}

// encrypt changes to TLS, with a reader that has never seen the plain octets.
// When it fails there is nobody left to talk to.
func (s *session) encrypt() error {
	patience := s.relay.short(s.relay.Timeouts.Handshake)
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	if s.allow(patience) != nil {
		return errHandshake
	}
	layer := s.socket.Layer()
	conn := tls.Server(layer, s.relay.TLS.Config.Config())
	err := conn.HandshakeContext(ctx)
	s.endWait()
	if err != nil {
		s.handshakeFailed(err)
		return errHandshake
	}
	s.mu.Lock()
	s.conn, s.layer = conn, layer
	s.mu.Unlock()
	s.in = smtp.NewReader(source{s})
	s.info.TLS = s.relay.TLS.Config.Facts(conn.ConnectionState())
	return nil
}
