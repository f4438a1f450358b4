package relay

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/haproxy"
)

// proxied reports whether that peer must send a PROXY header.
func (t *terms) proxied(peer netip.Addr) bool {
	return t.ProxyFrom != nil && t.ProxyFrom.Contains(peer)
}

// introduce is all that comes before the first octet of SMTP: a proxy that tells
// who the client is, and TLS. An error means that the session has ended.
func (s *session) introduce() error {
	implicit := s.relay.TLS != nil && s.relay.TLS.Implicit
	if s.relay.proxied(s.info.Client.Addr()) {
		if err := s.hearProxy(); err != nil {
			if !implicit { // else nobody would understand what there is to say
				s.linger()
			}
			return err
		}
	}
	if implicit {
		return s.encrypt()
	}
	return nil
}

// hearProxy takes the PROXY header that the peer owes, and nothing behind it.
// After an error, what there is to say is queued.
func (s *session) hearProxy() error {
	h, err := s.readProxy()
	switch {
	case err != nil && s.isDraining():
		s.endsBy(endShutdown)
		s.say(shuttingDown)
		return err
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET): // a health check that only connects
		s.log(slog.LevelDebug, "a proxy has connected and said nothing")
		return err
	case err != nil:
		s.refuseProxy(err)
		return err
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

func (s *session) readProxy() (haproxy.Header, error) {
	if err := s.allow(s.relay.short(s.relay.Timeouts.Header)); err != nil {
		return haproxy.Header{}, err
	}
	defer s.endWait()
	return haproxy.Read(s.conn)
}

// allow gives the client that long for what it has to do before SMTP begins.
func (s *session) allow(patience time.Duration) error {
	s.expect(patience, s.relay.Stress.Command)
	return s.beginWait()
}

// counts has the session count as one of that client. If there is no place for
// it, the answer is queued.
func (s *session) counts(client netip.Addr) error {
	as, reason := s.relay.Limiter.move(s.counted, client)
	s.counted = as
	if reason != "" {
		s.refuseAt(filters.Connect, limits, reason, tooManySessions)
		return errEnd
	}
	return nil
}

// refuseProxy refuses a session whose proxy does not say who the client is.
func (s *session) refuseProxy(err error) {
	var late net.Error
	if errors.As(err, &late) && late.Timeout() {
		err = errors.New("PROXY header: none came in time")
	}
	s.log(slog.LevelWarn, "refused a connection without a good PROXY header: the proxy must send one, or its address must leave proxy_protocol_from",
		"error", err.Error())
	s.endsBy(endProxy)
	s.say(noHeader)
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
