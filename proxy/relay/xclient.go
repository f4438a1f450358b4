package relay

import (
	"log/slog"
	"net/netip"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
	"github.com/mailweir/mailweir/proxy/internal/door"
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
	if x.Given(smtp.XAddr) && !x.Addr.IsValid() {
		s.say(with(badXClient, "ADDR must be known"))
		return nil
	}
	s.join(&x)
	info := s.fresh()
	tell(info, &x)
	return s.restart(info)
}

// join adds what commands before have told. A client may be told in several, of
// which that with its address is the last: who may say XCLIENT is decided by
// the address in force. One without an address adds to what is known. LOGIN
// holds for its command only, as in Postfix.
func (s *session) join(x *smtp.XClient) {
	if s.told == nil {
		s.told = new(smtp.XClient)
	}
	if x.Given(smtp.XName) {
		s.told.Name = x.Name
	}
	if x.Given(smtp.XPort) {
		s.told.Port = x.Port
	}
	s.told.Has |= x.Has & (smtp.XName | smtp.XPort)
	x.Name, x.Port, x.Has = s.told.Name, s.told.Port, x.Has|s.told.Has
	switch {
	case x.Given(smtp.XAddr):
		s.told = nil
	case !x.Given(smtp.XName):
		x.Name = s.info.ClientName
	}
}

// tell makes known what XCLIENT tells. The greeting that it may tell of comes
// again from the client's side.
func tell(info *filters.Session, x *smtp.XClient) {
	if x.Given(smtp.XAddr) {
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
}

// fresh returns another session on the same connection, of which nothing is
// known but what holds for the connection.
func (s *session) fresh() *filters.Session {
	return &filters.Session{
		ID:       door.NewID(),
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
	s.forget("xclient")
	if s.up != nil {
		s.quitUpstream()
	}
	s.log(slog.LevelDebug, "the client is told by XCLIENT", "is", info.Client.String(), "session", info.ID)
	s.info, s.errors = info, 0
	if err := s.counts(info.Client.Addr()); err != nil {
		return err
	}
	s.run.Close()
	if s.conduct != nil {
		s.conduct.secret = false
	}
	return s.begin()
}

// forget ends the transaction and what the client has said of itself: as on a
// new connection, it has to greet again and to log in. An upstream that takes it
// for somebody is left.
func (s *session) forget(reason string) {
	s.endTransaction(chain.Result{Reason: reason})
	if s.up != nil && (s.authed || s.info.AuthType != "") {
		s.quitUpstream()
	}
	s.authed, s.info.AuthType, s.info.AuthUser = false, "", ""
	s.greeted, s.hello, s.offer = false, s.hello[:0], &nothing
	s.info.Helo, s.info.ESMTP, s.info.HadEHLO = "", false, false
}
