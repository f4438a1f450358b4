package upstream

import (
	"fmt"
	"net"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/smtp"
)

// IdentityError says that a server does not take from us who the client is: it
// is not configured to. No client can be served by it.
type IdentityError struct {
	Server   string   // its address
	Identity Identity // how we wanted to tell it
	Reply    string   // what it said or did
	Hint     string   // what to set where
}

func (e *IdentityError) Error() string {
	return fmt.Sprintf("identity %s: the upstream %s: %s", e.Identity, e.Reply, e.Hint)
}

// String returns the identity as the configuration spells it.
func (i Identity) String() string {
	switch i {
	case NoIdentity:
		return "none"
	case XCLIENT:
		return "xclient"
	case XFORWARD:
		return "xforward"
	case PROXY:
		return "proxy"
	case Transparent:
		return "transparent"
	}
	return fmt.Sprintf("identity %d", uint8(i))
}

// Told reports whether the server is told of the client.
func (i Identity) Told() bool { return i == XCLIENT || i == XFORWARD || i == PROXY }

// RefusedError says that a server, which knows who the client is, has refused
// this one when it should have greeted it. Others may be welcome.
type RefusedError struct {
	Server string
	Reply  filters.Reply // for the client
}

func (e *RefusedError) Error() string { return "the upstream refuses the client: " + e.Reply.String() }

// notTaken is the error of an identity that the server does not take.
func (g *Group) notTaken(c *Conn, reply string) *IdentityError {
	return &IdentityError{c.server, g.Identity, reply, g.Identity.hint(c.ownAddress())}
}

// hint says what to set in the MTA that is to take an identity from us.
func (i Identity) hint(us string) string {
	switch i {
	case XCLIENT:
		return "set smtpd_authorized_xclient_hosts = " + us + " in Postfix, for the address that it sees us at; Exim and Sendmail have no XCLIENT: for Exim choose identity proxy, for Sendmail transparent or none"
	case XFORWARD:
		return "set smtpd_authorized_xforward_hosts = " + us + " in Postfix, for the address that it sees us at; Exim and Sendmail have no XFORWARD: choose another identity"
	case PROXY:
		return "set smtpd_upstream_proxy_protocol = haproxy in Postfix for this service, which must be for mailweir alone; set hosts_proxy = " + us + " in Exim; Sendmail has no PROXY: choose identity transparent or none"
	}
	return "choose another identity"
}

// ownAddress returns our address on the connection, for hints.
func (c *Conn) ownAddress() string {
	if tcp, ok := c.conn.LocalAddr().(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap().String()
	}
	return "our address"
}

// unwelcome is the error of a greeting that is no 220.
func (g *Group) unwelcome(c *Conn, r smtp.ServerReply) error {
	knows := g.Identity == PROXY || g.Identity == Transparent
	switch {
	case !knows || r.Class() < 4:
	case aboutClient(r), r.Code != 421 && (g.Identity == Transparent || r.Code != 503):
		return &RefusedError{c.server, r.Reply()}
	case g.Identity == PROXY:
		// Postfix answers 421 to no header or a bad one, Exim 503.
		return g.notTaken(c, "answered the header with "+short(r)+" (unless that is about something else)")
	}
	return fmt.Errorf("greeting %s", short(r))
}

// aboutClient reports whether the enhanced status code of a refusal speaks of
// policy (RFC 3463 section 3.8), which is about the client.
func aboutClient(r smtp.ServerReply) bool {
	enh := enhancedOf(r.Reply().Text)
	return r.Class() >= 4 && int(enh[0]) == r.Class() && enh[1] == 7
}

// maxShown bounds what an error quotes of a reply, in octets.
const maxShown = 300

// short returns a reply as one line, for errors.
func short(r smtp.ServerReply) string {
	text := r.Reply().String()
	if len(text) > maxShown {
		text = text[:maxShown] + "..."
	}
	return text
}
