package rdns

import (
	"context"
	"net/netip"
	"strings"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/ptr"
)

// names is what the DNS says about a client.
type names struct {
	exist     bool     // there is a PTR record
	all       []string // those that can be the names of hosts, the best first
	confirmed string   // the first of them that leads back to the client, "" for none
	err       error    // why it is not known whether one before that does, nil when it is
}

func (n names) first() string {
	if len(n.all) == 0 {
		return ""
	}
	return n.all[0]
}

// start learns the facts in the background, unless the MTA has told them.
func (f *filter) start(s *filters.Session, client netip.Addr) {
	if s.ClientName != "" {
		name := strings.ToLower(s.ClientName)
		f.found.Set(s, names{exist: true, all: []string{name}, confirmed: name})
		Name.Set(s, name)
		Confirmed.Set(s, name)
		return
	}
	f.found.Go(s, func(ctx context.Context) (names, error) {
		ctx, cancel := context.WithTimeout(ctx, f.patience)
		defer cancel()
		return f.namesOf(ctx, client)
	})
	Name.Go(s, func(ctx context.Context) (string, error) {
		found, err := f.found.Get(ctx, s)
		return found.first(), err
	})
	Confirmed.Go(s, func(ctx context.Context) (string, error) {
		found, err := f.found.Get(ctx, s)
		if err == nil && found.confirmed == "" {
			err = found.err
		}
		return found.confirmed, err
	})
}

// namesOf asks for the names of an address, and for the addresses of those.
func (f *filter) namesOf(ctx context.Context, client netip.Addr) (names, error) {
	listed, err := ptr.Names(ctx, f.resolver, client)
	switch {
	case filters.NotFound(err):
		return names{}, nil
	case err != nil:
		return names{}, err
	}
	found := names{exist: true, all: f.bestFirst(listed, client)}
	found.confirmed, found.err = ptr.Confirm(ctx, f.resolver, found.all, client)
	return found, nil
}

// bestFirst puts the names that do not look generic before the others, and
// leaves out what is too much.
func (f *filter) bestFirst(listed []string, client netip.Addr) []string {
	var good, generic []string
	for _, name := range listed {
		if f.look.generic(name, client) {
			generic = append(generic, name)
		} else {
			good = append(good, name)
		}
	}
	all := append(good, generic...)
	return all[:min(len(all), ptr.MaxNames)]
}
