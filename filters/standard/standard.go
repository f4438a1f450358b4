// Package standard lists the kinds of filters that mailweir comes with.
package standard

import (
	"slices"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/access"
	"github.com/mailweir/mailweir/filters/dnsbl"
	"github.com/mailweir/mailweir/filters/headers"
	"github.com/mailweir/mailweir/filters/helo"
	"github.com/mailweir/mailweir/filters/pregreet"
	"github.com/mailweir/mailweir/filters/rcpt"
	"github.com/mailweir/mailweir/filters/rdns"
	"github.com/mailweir/mailweir/filters/sender"
	"github.com/mailweir/mailweir/filters/size"
	"github.com/mailweir/mailweir/filters/verbs"
	"github.com/mailweir/mailweir/rules"
)

// kinds is in the order that is recommended for a chain: the dialogue's, and
// what costs least first.
var kinds = []filters.Kind{
	access.Kind,
	rdns.Kind,
	dnsbl.Kind,
	pregreet.Kind,
	verbs.Kind,
	helo.Kind,
	sender.Kind,
	size.Kind,
	rcpt.Kind,
	rules.Kind,
	headers.Kind,
}

// Kinds returns every kind, in the order that is recommended for a chain.
func Kinds() []filters.Kind { return slices.Clone(kinds) }

// Find returns the kind of that name.
func Find(name string) (filters.Kind, bool) {
	i := slices.IndexFunc(kinds, func(k filters.Kind) bool { return k.Name == name })
	if i < 0 {
		return filters.Kind{}, false
	}
	return kinds[i], true
}
