package relay

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/mailweir/mailweir/proxy/haproxy"
)

// proxied reports whether that peer must send a PROXY header.
func (t *terms) proxied(peer netip.Addr) bool {
	return t.ProxyFrom != nil && t.ProxyFrom.Contains(peer)
}

// introduce is all that comes before the first octet of SMTP: a proxy that tells
// who the client is, and TLS. An error means that the session has ended.
func (s *session) introduce() error {
	if s.relay.proxied(s.info.Client.Addr()) {
		if err := s.hearProxy(); err != nil {
			return err
		}
	}
	if s.relay.TLS != nil && s.relay.TLS.Implicit {
		return s.encrypt()
	}
	return nil
}

// hearProxy takes the PROXY header that the peer owes, and nothing behind it.
func (s *session) hearProxy() error {
	if err := s.allow(s.relay.Timeouts.Header); err != nil {
		return err
	}
	h, err := haproxy.Read(s.conn)
	s.endWait()
	switch {
	case errors.Is(err, io.EOF): // a health check that only connects
		s.log(slog.LevelDebug, "a proxy has connected and said nothing")
		return err
	case err != nil:
		return s.refuseProxy(err)
	case h.Local: // the proxy's own health check
		return s.counts(s.info.Client.Addr())
	}
	s.info.Via = s.info.Client
	s.info.Client, s.info.Local = h.Source, h.Dest
	if h.TLS != nil {
		s.info.TLS = *h.TLS
		s.info.TLS.ServerName = h.ServerName
	}
	return s.counts(s.info.Client.Addr())
}

// allow gives the client that long for what it has to do before SMTP begins.
func (s *session) allow(patience time.Duration) error {
	s.expect(patience)
	return s.beginWait()
}

// counts has the session count as one of that client. If there is no place for
// it the client is told.
func (s *session) counts(client netip.Addr) error {
	if reason := s.relay.Limiter.move(s.counted, client); reason != "" {
		s.out = s.out[:0]
		s.refuseSession("limits", reason, tooManySessions)
		s.linger()
		return errEnd
	}
	s.counted = client
	return nil
}

// refuseProxy ends a session whose proxy does not say who the client is.
func (s *session) refuseProxy(err error) error {
	var late net.Error
	if errors.As(err, &late) && late.Timeout() {
		err = errors.New("PROXY header: none came in time")
	}
	s.log(slog.LevelWarn, "refused a connection without a good PROXY header: the proxy must send one, or its address must leave proxy_protocol_from",
		"error", err.Error())
	if s.relay.TLS == nil || !s.relay.TLS.Implicit {
		s.say(noHeader)
		s.linger()
	}
	return err
}

// refuseSpoof ends a session whose client sends a PROXY header: before the
// greeting only those may who are listed, and behind it nobody.
func (s *session) refuseSpoof() error {
	if err := s.settle(); err != nil {
		return err
	}
	s.refuseSession("identity", "proxy_header", noProxy)
	return errEnd
}
