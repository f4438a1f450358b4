// Package rdns tests the name that the reverse DNS gives a client.
package rdns

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/internal/domains"
	"github.com/mailweir/mailweir/filters/internal/lookup"
	"github.com/mailweir/mailweir/filters/ipset"
)

const doc = `Tests the name that the reverse DNS gives a client.

When a client connects, the name of its address (PTR) and the addresses of that
name are looked up, while the dialogue goes on. Nobody waits for them before
the stage "at". A name that leads back to the client is confirmed. Of several
names the first ten are looked up; those that do not look generic come first,
then in the order of the alphabet. An MTA that asks by milter, or tells of the
client by XCLIENT, has confirmed the name itself, and that is taken as it is.

Example:

    - rdns: {missing: true, unconfirmed: ignore, generic: ignore, trusted_domains: [.example.com]}
      action: enforce

Reasons:

    rdns_missing       550 5.7.25: the address has no name
    rdns_unconfirmed   550 5.7.25: it has names, and none of them leads back to it
    rdns_generic       550 5.7.1: the name looks like that of a dial-up or customer line

A name looks generic when it spells the whole address of the client (decimal or
hexadecimal, in order or reversed), or when one of generic_words stands in it
between digits and separators. One of trusted_words clears it. No word is looked
for in the domain that somebody registered: a7.pool.example.com looks generic,
a7.pool.com does not.

Servers that send real mail lack a name, or have an unconfirmed one, more often
than one thinks: observe for some weeks which ones, before you enforce. Generic
names are usual for rented servers. When the DNS fails nothing is found: the
entry's on_error, continue by default, says what to do. Clients that have logged
in are not refused; an MTA tells that from MAIL on.
`

// Config is the configuration of one filter.
type Config struct {
	Missing        filters.Test      `yaml:"missing" doc:"test for clients whose address has no name"`
	Unconfirmed    filters.Test      `yaml:"unconfirmed" doc:"test for clients none of whose names leads back to their address"`
	Generic        filters.Test      `yaml:"generic" doc:"test for clients whose name looks like that of a dial-up or customer line"`
	At             At                `yaml:"at" doc:"stage that waits for the look-ups and judges: connect, helo, mail or rcpt"`
	GenericWords   []Word            `yaml:"generic_words" doc:"words that make a name look generic"`
	TrustedWords   []Word            `yaml:"trusted_words" doc:"words that clear a name"`
	TrustedDomains []domains.Pattern `yaml:"trusted_domains" doc:"names that never look generic; .example.com is that domain and all below it"`
	Exempt         []ipset.Net       `yaml:"exempt" doc:"addresses and networks whose clients are neither looked up nor tested"`
}

// The facts.
var (
	Name      = filters.NewFact[string]("client.name", "name of the client's address by PTR, in lower case; empty for none")
	Confirmed = filters.NewFact[string]("client.fcrdns", "name of the client's address that leads back to it, in lower case; empty for none")
)

// timeout is the default of an entry's.
const timeout = 5 * time.Second

// Kind describes these filters.
var Kind = filters.Define(filters.Kind{
	Name:    "rdns",
	Doc:     doc,
	Sets:    []filters.FactInfo{Name.Info, Confirmed.Info},
	Timeout: timeout,
	Observe: true,
	Lenient: true,
}, Config{
	Missing:      filters.On,
	Unconfirmed:  filters.On,
	Generic:      filters.On,
	At:           "rcpt",
	GenericWords: genericWords,
	TrustedWords: trustedWords,
	Exempt:       ipset.Inside(),
}, build)

var (
	_ filters.ConnectFilter = (*filter)(nil)
	_ filters.HeloFilter    = (*filter)(nil)
	_ filters.MailFilter    = (*filter)(nil)
	_ filters.RcptFilter    = (*filter)(nil)
	_ filters.Stager        = (*filter)(nil)
)

type filter struct {
	Config
	at       filters.Stage
	look     *look
	exempt   *ipset.Set
	resolver filters.Resolver // nil where there is none: then no client is looked up
	patience time.Duration
	found    filters.Fact[names] // of this filter alone: another entry may have other words
}

func build(env filters.Env, c *Config) (filters.Filter, error) {
	f := &filter{
		Config:   *c,
		at:       c.At.stage(),
		look:     newLook(c),
		exempt:   ipset.Of(c.Exempt),
		resolver: env.Resolver,
		patience: lookup.Patience(env.Timeout, timeout),
	}
	f.found = filters.NewFact[names](fmt.Sprintf("rdns.found.%p", f), "what the look-ups of one entry found")
	return f, nil
}

// Stages adds to Connect, where the look-ups start, the stage that judges.
func (f *filter) Stages() filters.Stages {
	if !f.Missing.Made() && !f.Unconfirmed.Made() && !f.Generic.Made() {
		return filters.StageSet(filters.Connect)
	}
	return filters.StageSet(filters.Connect, f.at)
}

// Connect starts the look-ups.
func (f *filter) Connect(ctx context.Context, s *filters.Session) filters.Verdict {
	if client, ok := f.tested(s); ok {
		f.start(s, client)
	}
	if f.at == filters.Connect {
		return f.judge(ctx, s)
	}
	return filters.Verdict{}
}

// Helo judges if it is the stage for that.
func (f *filter) Helo(ctx context.Context, s *filters.Session) filters.Verdict {
	return f.judge(ctx, s)
}

// Mail judges if it is the stage for that.
func (f *filter) Mail(ctx context.Context, t *filters.Transaction) filters.Verdict {
	return f.judge(ctx, t.Session)
}

// Rcpt judges if it is the stage for that. The look-ups have an end of their
// own, so that only the first recipient can have to wait.
func (f *filter) Rcpt(ctx context.Context, t *filters.Transaction, _ *filters.Path) filters.Verdict {
	return f.judge(ctx, t.Session)
}

// tested returns the client's address, unless there is nothing to ask about it
// or nobody to ask.
func (f *filter) tested(s *filters.Session) (client netip.Addr, ok bool) {
	client = s.Client.Addr().Unmap().WithZone("")
	known := s.ClientName != "" || f.resolver != nil
	return client, known && client.IsValid() && !f.exempt.Contains(client)
}

func (f *filter) judge(ctx context.Context, s *filters.Session) filters.Verdict {
	client, ok := f.tested(s)
	if !ok || s.AuthUser != "" {
		return filters.Verdict{}
	}
	found, err := f.found.Get(ctx, s)
	if err != nil {
		failed := filters.Failed(err)
		return filters.Gravest(f.Missing.Finds(failed), f.Unconfirmed.Finds(failed), f.Generic.Finds(failed))
	}
	if !found.exist {
		return f.Missing.Finds(refuse([3]uint16{5, 7, 25}, "rdns_missing", "Your address %v has no name in the reverse DNS: have its owner set one", client))
	}
	generic := f.generic(found, client)
	switch {
	case found.confirmed != "":
		return generic
	case found.err != nil:
		return filters.Gravest(generic, f.Unconfirmed.Finds(filters.Failed(found.err)))
	}
	unconfirmed := f.Unconfirmed.Finds(refuse([3]uint16{5, 7, 25}, "rdns_unconfirmed", "No name of your address %v in the reverse DNS leads back to it: have its owner correct that", client))
	return filters.Gravest(unconfirmed, generic)
}

// generic judges the confirmed name. When it is not known which one that is it
// judges the first of all, which looks generic only if all of them do.
func (f *filter) generic(found names, client netip.Addr) filters.Verdict {
	name := found.confirmed
	if name == "" || found.err != nil {
		name = found.first()
	}
	if name == "" || !f.Generic.Made() || !f.look.generic(name, client) {
		return filters.Verdict{}
	}
	return f.Generic.Finds(refuse([3]uint16{5, 7, 1}, "rdns_generic", "Your name %+.64q in the reverse DNS looks like that of a customer line: send by way of your provider's mail server", name))
}

func refuse(enh [3]uint16, reason, format string, args ...any) filters.Verdict {
	return filters.Refuse(reason, 550, enh, fmt.Sprintf(format, args...))
}
