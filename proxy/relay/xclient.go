package relay

import (
	"log/slog"
	"net/netip"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
	"github.com/mailweir/mailweir/proxy/smtp"
)

// xclientKeyword is what we take of XCLIENT, as it is offered.
const xclientKeyword = "XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT REVERSE_NAME"

// mayXClient reports whether the session may say XCLIENT. As in Postfix the
// address in force decides: once it is a client's, that client may not.
func (s *session) mayXClient() bool {
	return s.relay.XClientFrom != nil && s.relay.XClientFrom.Contains(s.info.Client.Addr())
}

// xclient takes who the client is from a peer that is trusted to know. The
// session begins anew, from the greeting on.
func (s *session) xclient(cmd smtp.Command) error {
	switch {
	case s.relay.XClientFrom == nil:
		return s.extra(cmd)
	case !s.mayXClient():
		s.say(noXClient)
		return nil
	case s.tx.open:
		s.say(nestedMail)
		return nil
	}
	x, err := smtp.ParseXClient(cmd.Args)
	if err != nil {
		s.say(with(badXClient, err.Error()))
		return nil
	}
	info := s.fresh()
	if err := tell(info, &x); err != nil {
		s.say(with(badXClient, err.Error()))
		return nil
	}
	return s.restart(info)
}

// tell makes known what XCLIENT tells. The greeting that it may tell of comes
// again from the client's side.
func tell(info *filters.Session, x *smtp.XClient) error {
	if x.Given(smtp.XAddr) {
		if !x.Addr.IsValid() {
			return smtp.Fault("ADDR must be known")
		}
		info.Via = info.Client
		info.Client = netip.AddrPortFrom(x.Addr, 0)
	}
	if x.Given(smtp.XPort) {
		info.Client = netip.AddrPortFrom(info.Client.Addr(), x.Port)
	}
	if x.Given(smtp.XDestAddr) && x.Dest.IsValid() {
		info.Local = netip.AddrPortFrom(x.Dest, info.Local.Port())
	}
	if x.Given(smtp.XDestPort) && x.DestPort != 0 {
		info.Local = netip.AddrPortFrom(info.Local.Addr(), x.DestPort)
	}
	info.ClientName = x.Name
	if x.Login != "" {
		info.AuthType, info.AuthUser = smtp.XCLIENT.String(), x.Login
	}
	return nil
}

// fresh returns a session on the same connection of which nothing is known but
// what holds for the connection.
func (s *session) fresh() *filters.Session {
	return &filters.Session{
		ID:       s.info.ID,
		Listener: s.info.Listener,
		Hostname: s.info.Hostname,
		Client:   s.info.Client,
		Local:    s.info.Local,
		Load:     s.info.Load,
		Via:      s.info.Via,
		TLS:      s.info.TLS,
	}
}

// restart begins the session anew, as one of another client.
func (s *session) restart(info *filters.Session) error {
	if err := s.counts(info.Client.Addr()); err != nil {
		return err
	}
	s.forget("xclient")
	if s.up != nil {
		s.quitUpstream()
	}
	s.log(slog.LevelDebug, "the client is told by XCLIENT", "is", info.Client.String())
	s.run.Close()
	s.info, s.authed = info, false
	if s.conduct != nil {
		s.conduct.secret = false
	}
	return s.begin()
}

// forget ends the transaction and what the client has said of itself: as on a
// new connection, it has to greet again.
func (s *session) forget(reason string) {
	s.endTransaction(chain.Result{Reason: reason})
	s.greeted, s.hello, s.offer = false, s.hello[:0], &nothing
	s.info.Helo, s.info.ESMTP, s.info.HadEHLO = "", false, false
}
