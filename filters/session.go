package filters

import (
	"net/netip"
	"strconv"
)

// Session is what is known about one client's connection. The front end fills
// it in; filters read it. It is not safe for concurrent use, except for facts.
type Session struct {
	ID       string         // unique; quoted in refusals and log records
	Listener string         // name of the listener in the configuration
	Hostname string         // our own name, as greeted
	Client   netip.AddrPort // the remote sender
	Local    netip.AddrPort // the address it connected to
	Helo     string         // argument of the HELO or EHLO in force, "" before
	ESMTP    bool           // the greeting in force is EHLO
	HadEHLO  bool           // an EHLO of this session was answered with 250

	// What a relay knows. In a milter's session all is zero.
	Wire Wire           // at Connect, if the chain needs it
	Load float64        // share of the sessions that may be open at once which were when this one began, up to 1
	Via  netip.AddrPort // the proxy that has told who the client is, the zero value for none

	// What an MTA tells that asks by milter. In a relay's session it is zero.
	Daemon string // which of its services the client came to, as the MTA calls it

	// What an MTA tells, or the dialogue has shown to a relay.
	ClientName string // the client's name as who tells of it has verified it, "" for none
	TLS        TLS    // of the client's connection, from HELO on
	AuthType   string // the SASL mechanism by which the client logged in, from MAIL on; "" when it has not
	AuthUser   string // who it logged in as; "" if the mechanism does not show it

	noted []Noted // at Connect and Helo

	Facts
}

// TLS is the encryption of a connection. The zero TLS is none; a milter knows of
// version and cipher only.
type TLS struct {
	Version    string // such as TLSv1.3
	Cipher     string // as the MTA spells it, or else as IANA does
	ServerName string // which the client asked for (RFC 6066 section 3), "" for none

	// Of the client's certificate, all empty if it has none.
	Client      string // its common name
	Fingerprint string // SHA-256 of it, in hex
	Verified    bool   // it is signed by an authority that is trusted here
}

// Transaction is one mail transaction (RFC 5321 section 3.3) of a session. It
// is valid until the transaction ends; what a filter wants to keep it copies.
type Transaction struct {
	Session  *Session
	Number   int // 1 for the session's first
	From     *Path
	Rcpts    []*Path // recipients that neither the chain nor the upstream has refused
	Declared int64   // value of MAIL's SIZE parameter in octets, 0 when absent
	Size     int64   // octets of content seen so far, without dot-stuffing
	Header   Header  // complete from stage EOH on
	QueueID  string  // of the MTA that asks by milter, "" before it has one: Postfix makes it up to DATA

	noted   []Noted // from Mail on
	edits   []Edit
	allowed Needs // of the filter that is being asked

	Facts
}

// ID returns the session's ID, a dot, and the transaction's number.
func (t *Transaction) ID() string { return t.Session.ID + "." + strconv.Itoa(t.Number) }
