package upstream

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/mailweir/mailweir/filters"
)

// maxAddresses bounds the addresses of one server that are tried.
const maxAddresses = 16

// addresses returns where a host can be reached, in the order to try.
func (sv *server) addresses(ctx context.Context) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(sv.host); err == nil {
		return []netip.Addr{a.Unmap()}, nil
	}
	f := sv.pool.fleet
	return sv.addrs.ask(ctx, f.log, func(ctx context.Context) ([]netip.Addr, error) { return f.lookUp(ctx, sv.host) })
}

// hostsFile knows what the machine's own file of hosts says, hosts(5).
var hostsFile = &net.Resolver{
	PreferGo: true,
	Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("the DNS is asked elsewhere")
	},
}

// lookUp finds the addresses of a name. What it says is valid for as long as
// the resolver remembers it.
func (f *Fleet) lookUp(ctx context.Context, name string) ([]netip.Addr, error) {
	absolute := strings.TrimSuffix(name, ".")
	if strings.Contains(absolute, ".") {
		absolute += "." // so that no domain is tried behind it
	}
	if list, err := hostsFile.LookupNetIP(ctx, "ip", absolute); err == nil {
		return interleave(list), nil
	}
	if f.env.Resolver != nil {
		return f.askBoth(ctx, name)
	}
	list, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
	return interleave(list), err
}

// laterFamily is how long the addresses of the other family are waited for when
// those of one are known.
const laterFamily = time.Second

// askBoth asks for the addresses of both families at once.
func (f *Fleet) askBoth(ctx context.Context, name string) ([]netip.Addr, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type reply struct {
		filters.Answer
		err error
	}
	replies := make(chan reply, 2)
	for _, typ := range []filters.RecordType{filters.TypeAAAA, filters.TypeA} {
		go func() {
			a, err := f.env.Resolver.Lookup(ctx, filters.Question{Name: name, Type: typ})
			replies <- reply{a, err}
		}()
	}
	var list []netip.Addr
	var errs failures
	var late <-chan time.Time
	for range 2 {
		select {
		case r := <-replies:
			list = append(list, r.Addrs...)
			if r.err != nil {
				errs = append(errs, r.err)
			}
		case <-late:
			errs = nil
		}
		if len(list) > 0 && late == nil {
			late = time.After(laterFamily)
		}
	}
	if len(list) > 0 {
		return interleave(list), nil
	}
	// That there is nothing must not hide that the DNS has failed.
	if some := slices.DeleteFunc(slices.Clone(errs), filters.NotFound); len(some) > 0 {
		errs = some
	}
	return nil, errs.about("no address of " + name)
}

// interleave puts the families in turn, IPv6 first (RFC 8305 section 4).
func interleave(list []netip.Addr) []netip.Addr {
	var six, four, out []netip.Addr
	for _, a := range list {
		if a = a.Unmap(); a.Is6() {
			six = append(six, a)
		} else {
			four = append(four, a)
		}
	}
	for i := range max(len(six), len(four)) {
		out = append(out, six[min(i, len(six)):min(i+1, len(six))]...)
		out = append(out, four[min(i, len(four)):min(i+1, len(four))]...)
	}
	return out[:min(len(out), maxAddresses)]
}
