// Package helo tests the name a client greets with.
package helo

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/internal/domains"
	"github.com/mailweir/mailweir/filters/ipset"
)

const doc = `Tests the name that a client gives in HELO or EHLO.

Each test has a switch of its own. The defaults refuse what the mail servers of
other sites do not send. On a listener where people submit mail, turn literal
and fqdn off: mail programs greet with the address or name they have behind
their router. A dot at the end of a name is tolerated.

The tests resolves, matches_client and own_address ask the DNS about names with
a dot that pass the others. They begin at HELO and judge at MAIL, so that nobody
waits for the DNS before. They look for 5s at most, or as long as the entry's
timeout says. At first they only observe: a name without an address, or with
another one than the client's, is against RFC 5321 section 4.1.4, yet many
servers of good standing have one, for they send from many addresses or from
behind a router. matches_client is the harshest. When the DNS fails nothing is
found: the entry's on_error, continue by default, says what to do. Clients that
have logged in are not tested by the DNS.

Example:

    - helo: {fqdn: true, own_names: [.example.com], resolves: true, exempt: [127.0.0.0/8, "::1", 10.0.0.0/8]}

Reasons, each 550 5.7.1 unless another reply is given:

    helo_syntax             501 5.5.4: neither a domain name nor an address literal
    helo_not_fqdn           a name without a dot, such as "localhost"
    helo_bare_address       an address without brackets
    helo_literal_mismatch   an address literal that is not the client's address
    helo_own_name           our own name or address
    helo_after_ehlo         HELO, although EHLO has succeeded in this session
    helo_unresolvable       the name has neither address nor MX records
    helo_client_mismatch    none of the name's addresses is the client's
    helo_own_address        the name has the address that the client connected to
`

// Config is the configuration of one filter.
type Config struct {
	Syntax          bool              `yaml:"syntax" doc:"refuse what is neither a domain name (RFC 5321 section 4.1.2) nor an address literal (section 4.1.3)"`
	AllowUnderscore bool              `yaml:"allow_underscore" doc:"tolerate underscores in domain names"`
	FQDN            bool              `yaml:"fqdn" doc:"refuse names without a dot"`
	BareAddress     bool              `yaml:"bare_address" doc:"refuse addresses without brackets"`
	Literal         bool              `yaml:"literal" doc:"refuse address literals that are not the client's address"`
	OwnName         bool              `yaml:"own_name" doc:"refuse the listener's hostname, own_names and the address that the client connected to"`
	OwnNames        []domains.Pattern `yaml:"own_names" doc:"more names of our own; .example.com is that domain and all below it"`
	HeloAfterEHLO   bool              `yaml:"helo_after_ehlo" doc:"refuse HELO when EHLO has succeeded in this session"`
	Resolves        filters.Test      `yaml:"resolves" doc:"test for names that have neither address nor MX records"`
	MatchesClient   filters.Test      `yaml:"matches_client" doc:"test for names none of whose addresses is the client's"`
	OwnAddress      filters.Test      `yaml:"own_address" doc:"test for names that have the address that the client connected to, though it is another machine"`
	Exempt          []ipset.Net       `yaml:"exempt" doc:"addresses and networks whose clients are not tested"`
}

// Kind describes these filters.
var Kind = filters.Define(filters.Kind{Name: "helo", Doc: doc, Lenient: true}, Config{
	Syntax:          true,
	AllowUnderscore: true,
	FQDN:            true,
	BareAddress:     true,
	Literal:         true,
	OwnName:         true,
	Resolves:        filters.Observe,
	MatchesClient:   filters.Observe,
	OwnAddress:      filters.Observe,
	Exempt:          ipset.Loopback(),
}, build)

var (
	_ filters.HeloFilter = (*filter)(nil)
	_ filters.MailFilter = (*filter)(nil)
	_ filters.Stager     = (*filter)(nil)
	_ filters.Needer     = (*filter)(nil)
)

type filter struct {
	Config
	ownNames *domains.Set
	exempt   *ipset.Set
	dns      *dns // nil for none
}

func build(env filters.Env, c *Config) (filters.Filter, error) {
	return &filter{*c, domains.Of(c.OwnNames), ipset.Of(c.Exempt), newDNS(env, c)}, nil
}

// Stages adds Mail when the DNS is asked.
func (f *filter) Stages() filters.Stages {
	if f.dns == nil {
		return filters.StageSet(filters.Helo)
	}
	return filters.StageSet(filters.Helo, filters.Mail)
}

// Needs asks for what the test of HELO after EHLO looks at.
func (f *filter) Needs() filters.Needs {
	if f.HeloAfterEHLO {
		return filters.TellHELO
	}
	return 0
}

// Helo runs the tests, and begins those that ask the DNS. Without these it does
// not allocate for a name that passes.
func (f *filter) Helo(ctx context.Context, s *filters.Session) filters.Verdict {
	client := plain(s.Client)
	if f.exempt.Contains(client) {
		return filters.Verdict{}
	}
	if f.dns != nil {
		f.dns.drop(ctx, s)
	}
	name := strings.TrimSuffix(s.Helo, ".")
	form, addr := parse(name, f.AllowUnderscore)
	v := f.judge(s, client, name, form, addr)
	if f.dns != nil && v == (filters.Verdict{}) && form == domain && strings.Contains(name, ".") && client.IsValid() {
		f.dns.begin(s, name)
	}
	return v
}

// Mail judges what the DNS says of the HELO in force.
func (f *filter) Mail(ctx context.Context, t *filters.Transaction) filters.Verdict {
	if f.dns == nil || f.exempt.Contains(plain(t.Session.Client)) {
		return filters.Verdict{}
	}
	return f.dns.judge(ctx, t.Session)
}

// judge runs the tests that look at the name alone.
func (f *filter) judge(s *filters.Session, client netip.Addr, name string, form form, addr netip.Addr) filters.Verdict {
	if f.HeloAfterEHLO && s.HadEHLO && !s.ESMTP {
		return refuse("helo_after_ehlo", "You have used EHLO in this session: do not go back to HELO")
	}
	if f.OwnName && form != malformed && f.isOurs(s, client, name, addr) {
		return refuse("helo_own_name", "Your HELO name %+.64q is ours: use the name of your own server", s.Helo)
	}
	switch form {
	case malformed:
		if f.Syntax {
			return filters.Refuse("helo_syntax", 501, [3]uint16{5, 5, 4}, fmt.Sprintf("Your HELO name %+.64q is neither a domain name nor an address in brackets", s.Helo))
		}
	case domain:
		if f.FQDN && !strings.Contains(name, ".") {
			return refuse("helo_not_fqdn", "Your HELO name %+.64q is incomplete: use the fully qualified name of your server", s.Helo)
		}
	case bare:
		if f.BareAddress {
			return refuse("helo_bare_address", "Your HELO name %+.64q is an address: use the name of your server, or put the address in brackets", s.Helo)
		}
	case literal:
		if f.Literal && client.IsValid() && addr != client {
			return refuse("helo_literal_mismatch", "Your HELO name %+.64q is not the address that you connect from: use the name of your server", s.Helo)
		}
	}
	return filters.Verdict{}
}

// isOurs reports whether a client other than ourselves gives a name or address
// of ours.
func (f *filter) isOurs(s *filters.Session, client netip.Addr, name string, addr netip.Addr) bool {
	local := plain(s.Local)
	if !client.IsValid() || client.IsLoopback() || client == local {
		return false
	}
	if addr.IsValid() {
		return addr == local
	}
	return strings.EqualFold(name, s.Hostname) || f.ownNames.Contains(name)
}

func refuse(reason, format string, args ...any) filters.Verdict {
	return filters.Refuse(reason, 550, [3]uint16{5, 7, 1}, fmt.Sprintf(format, args...))
}
