package rdns

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/internal/domains"
	"github.com/mailweir/mailweir/filters/internal/lookup"
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
	a, err := f.resolver.Lookup(ctx, filters.Question{Name: filters.ReverseName(client), Type: filters.TypePTR})
	switch {
	case filters.NotFound(err):
		return names{}, nil
	case err != nil:
		return names{}, err
	}
	found := names{exist: true, all: f.usable(a.Names, client)}
	found.confirmed, found.err = confirm(ctx, f.resolver, found.all, client)
	return found, nil
}

// usable returns the names that a host can have. The order of an answer changes
// from time to time, that of its result does not.
func (f *filter) usable(listed []string, client netip.Addr) []string {
	var good, generic []string
	for _, n := range listed {
		name, ok := domains.ASCII(n)
		switch {
		case !ok:
		case f.look.generic(name, client):
			generic = append(generic, name)
		default:
			good = append(good, name)
		}
	}
	slices.Sort(good)
	slices.Sort(generic)
	all := slices.Compact(append(good, generic...))
	return all[:min(len(all), lookup.MaxNames)]
}

// confirm returns the first name that leads back to the client, and the error
// of a look-up that failed for a name before it. It does not wait for names
// that come after that one.
func confirm(ctx context.Context, r filters.Resolver, all []string, client netip.Addr) (string, error) {
	questions := make([]filters.Question, len(all))
	for i, name := range all {
		questions[i] = filters.Question{Name: name, Type: lookup.Family(client)}
	}
	results := make([]*lookup.Result, len(all))
	for result := range lookup.Each(ctx, r, questions) {
		results[result.At] = &result
		if i := firstBack(results, client); i >= 0 {
			return all[i], failure(results[:i])
		}
	}
	return "", failure(results)
}

// firstBack returns the first name that leads back, once all before it have
// been answered; else -1.
func firstBack(results []*lookup.Result, client netip.Addr) int {
	for i, r := range results {
		if r == nil {
			return -1
		}
		if slices.Contains(r.Answer.Addrs, client) {
			return i
		}
	}
	return -1
}

func failure(results []*lookup.Result) error {
	for _, r := range results {
		if r.Err != nil && !filters.NotFound(r.Err) {
			return r.Err
		}
	}
	return nil
}
