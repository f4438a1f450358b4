package dnsbl

import (
	"fmt"
	"net/netip"

	"github.com/mailweir/mailweir/filters"
)

// The addresses that no list has (RFC 5782 section 5), and where the answers
// lie (section 2.1).
var (
	never4   = netip.MustParseAddr("127.0.0.1")
	loopback = netip.MustParsePrefix("127.0.0.0/8")
	refused  = netip.MustParsePrefix("127.255.255.0/24")
)

// fault is why an answer is no listing.
type fault struct {
	slug string // of a closed set: an alarm is given once for each
	text string
	ours bool // the question was wrong, not the list
}

// judge tells a list's answer: which rules it hits, or why it is none. One
// address that is an error spoils the answer.
func (z *zone) judge(a filters.Answer) (mask uint64, wrong *fault) {
	for _, addr := range a.Addrs {
		if wrong := z.fault(addr); wrong != nil {
			return 0, wrong
		}
		for i, r := range z.rules {
			if r.Matches(addr) {
				mask |= 1 << i
			}
		}
	}
	return mask, nil
}

// fault returns why an address is no listing, or nil.
func (z *zone) fault(a netip.Addr) *fault {
	switch {
	case !loopback.Contains(a):
		return &fault{slug: "outside", text: "an answer outside of 127.0.0.0/8: the list is dead, its name is another's now, or the resolver invents answers"}
	case refused.Contains(a):
		return refusal(a)
	}
	for _, r := range z.refusals {
		if r.Matches(a) {
			return &fault{slug: "refused", text: r.meaning, ours: r.ours}
		}
	}
	if a == never4 && !z.one {
		return &fault{slug: "one", text: "127.0.0.1, by which lists tell that they refuse to answer"}
	}
	return nil
}

// refusal reads the codes that Spamhaus and others have for errors (Spamhaus
// FAQ, "What do the 127.*.*.* Return Codes mean?").
func refusal(a netip.Addr) *fault {
	switch a.As4()[3] {
	case 252:
		return &fault{slug: "misspelt", text: "the name of the zone is misspelt"}
	case 254:
		return &fault{slug: "public", text: "it was asked by way of a public resolver: use a resolver of your own"}
	case 255:
		return &fault{slug: "many", text: "it has been asked too many questions"}
	}
	return &fault{slug: "error", text: fmt.Sprintf("the error code %v", a)}
}
