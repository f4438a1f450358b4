// Package access admits and refuses clients by their address.
package access

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/internal/listfile"
	"github.com/mailweir/mailweir/filters/ipset"
)

const doc = `Admits or refuses clients by their address.

The address is looked up in the allow lists first. A client found there is
asked about by no further filter of the chain, so that nothing here limits
whom it writes to or how much: list only clients that the upstream may trust.
Then it is looked up in the deny lists. How specific an entry is makes no
difference.

Example:

    - access: {allow: [198.51.100.7], deny: [192.0.2.0/24, "2001:db8::/32"], deny_files: [deny.txt]}

A list file has one address or network a line; comments begin with # or ;.
Files may have millions of lines. A file that has changed is read again as
soon as two looks at it see the same; replacing it by renaming a finished file
over it is best. A file that is broken or gone is logged, and what it said
before stays in force. When mailweir starts, it is an error.

Who is denied is greeted all the same, and refused at RCPT, so that the log
knows sender and recipient. With "action: drop", or delay_reject: connect, a
client is refused as it connects, and a relay spends no session on it, unless
there is more to hear of it first: PROXY, XCLIENT, TLS from the first octet,
or what a filter in front of this one wants to know. That is how to be rid of
many.

Reasons:

    allowed   no further filter is asked in this session
    denied    554 5.7.1
`

// Config is the configuration of one filter.
type Config struct {
	Allow      []ipset.Net   `yaml:"allow" doc:"addresses and networks whose clients no further filter is asked about"`
	Deny       []ipset.Net   `yaml:"deny" doc:"addresses and networks whose clients are refused"`
	AllowFiles []string      `yaml:"allow_files" doc:"list files to add to allow"`
	DenyFiles  []string      `yaml:"deny_files" doc:"list files to add to deny"`
	Reload     time.Duration `yaml:"reload" doc:"time between looks at the list files, at least 1s; 0s to read them only once"`
}

// Kind describes these filters.
var Kind = filters.Define(filters.Kind{Name: "access", Doc: doc}, Config{Reload: 10 * time.Second}, build)

var _ filters.AddressFilter = (*filter)(nil)

type filter struct {
	allow, deny list
	*listfile.Watch
}

func build(env filters.Env, c *Config) (filters.Filter, error) {
	allow, errAllow := newList(env.Dir, c.Allow, c.AllowFiles)
	deny, errDeny := newList(env.Dir, c.Deny, c.DenyFiles)
	if err := errors.Join(errAllow, errDeny); err != nil {
		return nil, err
	}
	watch, err := listfile.Start(c.Reload, env.Log, slices.Concat(allow.files, deny.files))
	if err != nil {
		return nil, err
	}
	return &filter{allow, deny, watch}, nil
}

var allowed = filters.Accepted("allowed")

func (f *filter) Connect(_ context.Context, s *filters.Session) filters.Verdict {
	return f.Address(s.Client.Addr())
}

// Address looks up the client. It neither allocates nor locks unless it
// refuses.
func (f *filter) Address(client netip.Addr) filters.Verdict {
	switch {
	case f.allow.contains(client):
		return allowed
	case f.deny.contains(client):
		return filters.Refuse("denied", 554, [3]uint16{5, 7, 1}, "Mail from "+client.Unmap().String()+" is not accepted here")
	}
	return filters.Verdict{}
}

// list is what one of the options lists in line and in files.
type list struct {
	inline *ipset.Set
	files  []*listfile.File[ipset.Set]
}

func newList(dir string, nets []ipset.Net, names []string) (list, error) {
	files, err := listfile.Open(dir, names, ipset.Read)
	return list{ipset.Of(nets), files}, err
}

func (l *list) contains(a netip.Addr) bool {
	if l.inline.Contains(a) {
		return true
	}
	for _, f := range l.files {
		if f.Value().Contains(a) {
			return true
		}
	}
	return false
}
