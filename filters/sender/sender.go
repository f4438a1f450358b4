// Package sender tests whether mail can be sent to the domain of a sender.
package sender

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/internal/lookup"
	"github.com/mailweir/mailweir/filters/ipset"
)

const doc = `Tests whether the domain of a sender exists and takes mail.

At MAIL the mail hosts of the domain (MX, or the domain itself where it has
none, RFC 5321 section 5.1) and their addresses are looked up while the dialogue
goes on. The first RCPT waits for them; all recipients get the same answer. The
null sender of notifications, address literals, and senders without a domain are
left alone.

Example:

    - sender: {not_fqdn: true, bogus_mx: ignore, allowed_networks: [10.0.0.0/8]}
      action: enforce

Reasons:

    sender_not_fqdn         550 5.1.8: a domain without a dot, such as "localhost"
    sender_unknown_domain   550 5.1.8: there is no such domain
    sender_no_mail_host     550 5.1.8: the domain has neither MX nor address records
    sender_null_mx          550 5.7.27: the domain says that it takes no mail (RFC 7505)
    sender_bogus_mx         550 5.1.8: no mail host has an address that can be one on the Internet

Addresses that cannot be a mail host's are those of private, shared, loopback,
link-local, multicast and reserved networks, and those for documentation and
benchmarks (RFC 6890). If your DNS answers with inside addresses for domains of
your own, list these in allowed_networks, or your own people are refused. Of the
mail hosts the first ten count; one good address is enough.

A name without a dot is tested by not_fqdn alone. Some shops and alerts do send
from domains that take no mail: observe first. When the DNS fails nothing is
found: the entry's on_error, continue by default, says what to do. Clients that
have logged in are not tested.
`

// Config is the configuration of one filter.
type Config struct {
	NotFQDN         filters.Test `yaml:"not_fqdn" doc:"test for domains without a dot"`
	UnknownDomain   filters.Test `yaml:"unknown_domain" doc:"test for domains that do not exist, or have neither MX nor address records"`
	NullMX          filters.Test `yaml:"null_mx" doc:"test for domains that say that they take no mail (RFC 7505)"`
	BogusMX         filters.Test `yaml:"bogus_mx" doc:"test for domains whose mail hosts have no address that can be one on the Internet"`
	BogusNetworks   []ipset.Net  `yaml:"bogus_networks" doc:"addresses and networks that no mail host has, besides those for special purposes (RFC 6890)"`
	AllowedNetworks []ipset.Net  `yaml:"allowed_networks" doc:"addresses and networks that mail hosts have, whatever else is said of them"`
	Exempt          []ipset.Net  `yaml:"exempt" doc:"addresses and networks whose clients' senders are not tested"`
}

// MX is the fact that is learnt beside the tests.
var MX = filters.NewFact[[]string]("sender.mx", "names of the mail hosts (MX) of the sender's domain, in lower case, by preference; empty if it lists none")

// timeout is the default of an entry's.
const timeout = 5 * time.Second

// Kind describes these filters.
var Kind = filters.Define(filters.Kind{
	Name:    "sender",
	Doc:     doc,
	Sets:    []filters.FactInfo{MX.Info},
	Timeout: timeout,
	Observe: true,
	Lenient: true,
}, Config{
	NotFQDN:       filters.On,
	UnknownDomain: filters.On,
	NullMX:        filters.On,
	BogusMX:       filters.On,
	Exempt:        ipset.Inside(),
}, build)

var (
	_ filters.MailFilter = (*filter)(nil)
	_ filters.RcptFilter = (*filter)(nil)
)

type filter struct {
	Config
	bogus    *ipset.Set
	allowed  *ipset.Set
	exempt   *ipset.Set
	resolver filters.Resolver // nil where there is none: then nothing is looked up
	patience time.Duration
	found    filters.Fact[finding] // of this filter alone: another entry may have other networks
}

func build(env filters.Env, c *Config) (filters.Filter, error) {
	f := &filter{
		Config:   *c,
		bogus:    ipset.Of(c.BogusNetworks),
		allowed:  ipset.Of(c.AllowedNetworks),
		exempt:   ipset.Of(c.Exempt),
		resolver: env.Resolver,
		patience: lookup.Patience(env.Timeout, timeout),
	}
	f.found = filters.NewFact[finding](fmt.Sprintf("sender.found.%p", f), "what the look-ups of one entry found")
	return f, nil
}

// Mail starts the look-ups.
func (f *filter) Mail(_ context.Context, t *filters.Transaction) filters.Verdict {
	if f.looksUp(t) {
		f.start(t)
	}
	return filters.Verdict{}
}

// Rcpt gives each recipient the same answer. The look-ups have an end of their
// own, so that only the first one can have to wait.
func (f *filter) Rcpt(ctx context.Context, t *filters.Transaction, _ *filters.Path) filters.Verdict {
	switch {
	case !f.tested(t):
		return filters.Verdict{}
	case !dotted(t.From.Domain):
		return f.refuse(notFQDN, t.From.Domain)
	case !f.looksUp(t):
		return filters.Verdict{}
	}
	found, err := f.found.Get(ctx, t)
	switch {
	case err != nil:
		return f.failed(err, unknownDomain, nullMX, bogusMX)
	case found.err != nil:
		return f.failed(found.err, found.flaws...)
	case len(found.flaws) > 0:
		return f.refuse(found.flaws[0], t.From.Domain)
	}
	return filters.Verdict{}
}

// tested reports whether the sender has a domain that is to be tested.
func (f *filter) tested(t *filters.Transaction) bool {
	domain := t.From.Domain
	return domain != "" && domain[0] != '[' && t.Session.AuthUser == "" &&
		!f.exempt.Contains(t.Session.Client.Addr().Unmap().WithZone(""))
}

// looksUp reports whether the sender's domain is to be looked up.
func (f *filter) looksUp(t *filters.Transaction) bool {
	return f.resolver != nil && f.tested(t) && dotted(t.From.Domain)
}

func dotted(domain string) bool { return strings.Contains(strings.TrimSuffix(domain, "."), ".") }
