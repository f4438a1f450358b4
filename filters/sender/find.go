package sender

import (
	"context"
	"errors"
	"net/netip"
	"slices"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/internal/bogon"
	"github.com/mailweir/mailweir/filters/internal/domains"
	"github.com/mailweir/mailweir/filters/internal/lookup"
)

// finding is what the look-ups found about a domain.
type finding struct {
	flaws []flaw   // none or one; with err, those there may be
	hosts []string // of the MX records
	err   error    // why it is not known which flaw there is, though the hosts are
}

// start looks up in the background.
func (f *filter) start(t *filters.Transaction) {
	domain, ok := domains.ASCII(t.From.Domain)
	if !ok { // nobody can register that
		f.found.Set(t, finding{flaws: []flaw{unknownDomain}})
		MX.Set(t, nil)
		return
	}
	f.found.Go(t, func(ctx context.Context) (finding, error) {
		ctx, cancel := context.WithTimeout(ctx, f.patience)
		defer cancel()
		return f.find(ctx, domain)
	})
	MX.Go(t, func(ctx context.Context) ([]string, error) {
		found, err := f.found.Get(ctx, t)
		return found.hosts, err
	})
}

// find returns an error only if even the hosts are not known.
func (f *filter) find(ctx context.Context, domain string) (finding, error) {
	a, err := f.resolver.Lookup(ctx, filters.Question{Name: domain, Type: filters.TypeMX})
	switch {
	case err == nil:
		return f.judgeMX(ctx, a.MXs), nil
	case errors.Is(err, filters.ErrNXDomain):
		return finding{flaws: []flaw{unknownDomain}}, nil
	case errors.Is(err, filters.ErrNoData):
		return f.judgeImplicit(ctx, domain), nil
	}
	return finding{}, err
}

// judgeMX judges the hosts that MX records name, of which a null MX is the only
// one.
func (f *filter) judgeMX(ctx context.Context, list []filters.MX) finding {
	if len(list) == 1 && list[0].Host == "" {
		return finding{flaws: []flaw{nullMX}}
	}
	var found finding
	for _, mx := range list {
		host, ok := domains.ASCII(mx.Host)
		if ok && len(found.hosts) < lookup.MaxNames && !slices.Contains(found.hosts, host) {
			found.hosts = append(found.hosts, host)
		}
	}
	if !f.BogusMX.Made() {
		return found
	}
	at, err := f.survey(ctx, found.hosts)
	if at != good {
		found.flaws, found.err = []flaw{bogusMX}, err
	}
	return found
}

// judgeImplicit judges a domain that is its own mail host.
func (f *filter) judgeImplicit(ctx context.Context, domain string) finding {
	if !f.UnknownDomain.Made() && !f.BogusMX.Made() {
		return finding{}
	}
	at, err := f.survey(ctx, []string{domain})
	switch {
	case at == bogus:
		return finding{flaws: []flaw{bogusMX}, err: err}
	case at == nowhere && err != nil:
		return finding{flaws: []flaw{noMailHost, bogusMX}, err: err}
	case at == nowhere:
		return finding{flaws: []flaw{noMailHost}}
	}
	return finding{}
}

// place is where mail hosts are.
type place uint8

const (
	nowhere place = iota // they have no address
	bogus                // in networks that no mail host is in
	good
)

// survey looks for a good address, and looks no further once it has found one.
// An error tells that there may be more than it saw.
func (f *filter) survey(ctx context.Context, hosts []string) (at place, err error) {
	questions := make([]filters.Question, 0, 2*len(hosts))
	for _, host := range hosts {
		if a, err := netip.ParseAddr(host); err == nil { // against the rules, but many MTAs take it
			at = max(at, f.placeOf(a))
			continue
		}
		questions = append(questions, filters.Question{Name: host, Type: filters.TypeA}, filters.Question{Name: host, Type: filters.TypeAAAA})
	}
	if at == good {
		return good, nil
	}
	for r := range lookup.Each(ctx, f.resolver, questions) {
		if r.Err != nil && !filters.NotFound(r.Err) {
			err = r.Err
		}
		for _, a := range r.Answer.Addrs {
			at = max(at, f.placeOf(a))
		}
		if at == good {
			return good, nil
		}
	}
	return at, err
}

func (f *filter) placeOf(a netip.Addr) place {
	a = a.Unmap().WithZone("")
	if f.allowed.Contains(a) || !bogon.Contains(a) && !f.bogus.Contains(a) {
		return good
	}
	return bogus
}
