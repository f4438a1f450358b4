// Package rcpt limits for whom, and for how many, a message may be.
package rcpt

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/internal/domains"
	"github.com/mailweir/mailweir/filters/internal/listfile"
	"github.com/mailweir/mailweir/filters/ipset"
)

const doc = `Limits the recipients: their number, and the domains that mail is taken for.

With domains or domains_files, mail is taken only for those domains, from any
client but those of relay_from and those that have logged in. An entry
example.com is that domain alone, .example.com is that domain and all below it.
Case makes no difference, and neither does the spelling of an
internationalised domain (exämple.com, xn--exmple-cua.com). <postmaster> without
a domain is always taken (RFC 5321 section 4.5.1).

Example:

    - rcpt: {domains: [example.com, .example.net], max: 500}

A list file has one domain a line; comments begin with # or ;. It is read again
when it has changed and two looks at it see the same. A file that is broken or
gone is logged, and what it said before stays in force. When mailweir starts,
it is an error.

A local part with %, ! or @ (user%other.example@example.com) asks the upstream
to pass the message on elsewhere. Where domains are limited it is refused.

Reasons:

    relay_denied          550 5.7.1
    too_many_recipients   452 4.5.3: the client sends the rest in another transaction
`

// Config is the configuration of one filter.
type Config struct {
	Max              int               `yaml:"max" doc:"most recipients of a transaction, at least 1; RFC 5321 section 4.5.3.1.8 wants 100 or more"`
	Domains          []domains.Pattern `yaml:"domains" doc:"domains that mail is taken for; with domains_files empty too, all are"`
	DomainsFiles     []string          `yaml:"domains_files" doc:"list files to add to domains"`
	Reload           time.Duration     `yaml:"reload" doc:"time between looks at the list files, at least 1s; 0s to read them only once"`
	RelayFrom        []ipset.Net       `yaml:"relay_from" doc:"addresses and networks whose clients may send to any domain"`
	RoutedLocalParts bool              `yaml:"routed_local_parts" doc:"take local parts with %, ! or @ where domains are limited; true only if the upstream never routes by them"`
}

// Kind describes these filters.
var Kind = filters.Define(filters.Kind{Name: "rcpt", Doc: doc}, Config{
	Max:       1000,
	Reload:    10 * time.Second,
	RelayFrom: ipset.Loopback(),
}, build)

var (
	_ filters.RcptFilter = (*filter)(nil)
	_ filters.Announcer  = (*filter)(nil)
)

type filter struct {
	max       int
	limited   bool // to domains
	domains   *domains.Set
	files     []*listfile.File[domains.Set]
	relayFrom *ipset.Set
	routed    bool
	tooMany   string
	*listfile.Watch
}

func build(env filters.Env, c *Config) (filters.Filter, error) {
	if c.Max < 1 {
		return nil, errors.New("max: a limit below one recipient would refuse all mail")
	}
	files, err := listfile.Open(env.Dir, c.DomainsFiles, domains.Read)
	if err != nil {
		return nil, err
	}
	watch, err := listfile.Start(c.Reload, env.Log, files)
	if err != nil {
		return nil, err
	}
	return &filter{
		max:       c.Max,
		limited:   len(c.Domains)+len(files) > 0,
		domains:   domains.Of(c.Domains),
		files:     files,
		relayFrom: ipset.Of(c.RelayFrom),
		routed:    c.RoutedLocalParts,
		tooMany:   fmt.Sprintf("Too many recipients: no more than %d in one transaction, send the rest in another", c.Max),
		Watch:     watch,
	}, nil
}

// Rcpt looks at the domain before the number: what is refused for good should
// not be tried again.
func (f *filter) Rcpt(_ context.Context, t *filters.Transaction, to *filters.Path) filters.Verdict {
	switch {
	case f.limited && !f.taken(to) && !f.mayRelay(t.Session):
		return filters.Refuse("relay_denied", 550, [3]uint16{5, 7, 1}, "Relaying denied: no mail is taken here for this address")
	case len(t.Rcpts) >= f.max:
		return filters.Refuse("too_many_recipients", 452, [3]uint16{4, 5, 3}, f.tooMany)
	}
	return filters.Verdict{}
}

// mayRelay reports whether the client may send to any domain.
func (f *filter) mayRelay(s *filters.Session) bool {
	return s.AuthType != "" || f.relayFrom.Contains(s.Client.Addr())
}

// Announce offers the most recipients.
func (f *filter) Announce(a *filters.Announcement) { a.LimitRcpts(f.max) }

// taken reports whether anybody may send to the recipient.
func (f *filter) taken(to *filters.Path) bool {
	if to.Domain == "" {
		return strings.EqualFold(to.Local, "postmaster")
	}
	if !f.routed && strings.ContainsAny(to.Local, "%!@") {
		return false
	}
	if f.domains.Contains(to.Domain) {
		return true
	}
	for _, file := range f.files {
		if file.Value().Contains(to.Domain) {
			return true
		}
	}
	return false
}
