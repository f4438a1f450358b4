// Package ptr finds the names of an address, and which of them lead back to it.
package ptr

import (
	"context"
	"net/netip"
	"slices"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/internal/domains"
	"github.com/mailweir/mailweir/filters/internal/lookup"
)

// MaxNames is how many names of an address should be asked to Confirm: whoever
// has the address chooses how many there are.
const MaxNames = lookup.MaxNames

// Names returns the names that the reverse DNS gives an address, as many of them
// as hosts can have: in lower case, without their final dots, in the order of
// the alphabet, since that of an answer changes from time to time. There may be
// none. Of an address without records filters.NotFound(err) is true.
func Names(ctx context.Context, r filters.Resolver, addr netip.Addr) ([]string, error) {
	a, err := r.Lookup(ctx, filters.Question{Name: filters.ReverseName(addr), Type: filters.TypePTR})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, listed := range a.Names {
		if name, ok := domains.ASCII(listed); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// Confirm returns the first of the names that leads back to an address, "" for
// none, and the error of a look-up that failed for a name before it. It does not
// wait for names that come after that one.
func Confirm(ctx context.Context, r filters.Resolver, names []string, addr netip.Addr) (string, error) {
	questions := make([]filters.Question, len(names))
	for i, name := range names {
		questions[i] = filters.Question{Name: name, Type: lookup.Family(addr)}
	}
	results := make([]*lookup.Result, len(names))
	for result := range lookup.Each(ctx, r, questions) {
		results[result.At] = &result
		if i := firstBack(results, addr); i >= 0 {
			return names[i], failure(results[:i])
		}
	}
	return "", failure(results)
}

// firstBack returns the first name that leads back, once all before it have
// been answered; else -1.
func firstBack(results []*lookup.Result, addr netip.Addr) int {
	for i, r := range results {
		if r == nil {
			return -1
		}
		if slices.Contains(r.Answer.Addrs, addr) {
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
