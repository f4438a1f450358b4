// Package bogon knows the networks in which no mail server of the Internet can
// be.
package bogon

import "net/netip"

// private are the networks inside of sites.
var private = prefixes(
	"10.0.0.0/8",     // RFC 1918
	"172.16.0.0/12",  // RFC 1918
	"192.168.0.0/16", // RFC 1918
	"100.64.0.0/10",  // between a provider and its customers, RFC 6598
	"169.254.0.0/16", // link-local, RFC 3927
	"fc00::/7",       // unique local, RFC 4193
	"fe80::/10",      // link-local, RFC 4291 section 2.5.6
)

// special are the other networks that IANA's special-purpose registries (RFC
// 6890) do not call globally reachable, multicast (RFC 5771, RFC 4291 section
// 2.7), and what is reserved. The NAT64 prefix 64:ff9b::/96 is not here: a
// resolver for networks without IPv4 answers with it (RFC 6147).
var special = prefixes(
	"0.0.0.0/8",       // this network, RFC 791 section 3.2
	"127.0.0.0/8",     // loopback, RFC 1122 section 3.2.1.3
	"192.0.0.0/24",    // IETF protocol assignments, RFC 6890
	"192.0.2.0/24",    // documentation, RFC 5737
	"198.18.0.0/15",   // benchmarks, RFC 2544
	"198.51.100.0/24", // documentation, RFC 5737
	"203.0.113.0/24",  // documentation, RFC 5737
	"224.0.0.0/4",     // multicast, RFC 5771
	"240.0.0.0/4",     // reserved, RFC 1112 section 4; broadcast
	"::/128",          // unspecified, RFC 4291 section 2.5.2
	"::1/128",         // loopback, RFC 4291 section 2.5.3
	"100::/64",        // discard-only, RFC 6666
	"2001:2::/48",     // benchmarks, RFC 5180
	"2001:10::/28",    // ORCHID, RFC 4843
	"2001:20::/28",    // ORCHIDv2, RFC 7343
	"2001:db8::/32",   // documentation, RFC 3849
	"3fff::/20",       // documentation, RFC 9637
	"5f00::/16",       // SRv6 segment identifiers, RFC 9602
	"fec0::/10",       // site-local, RFC 3879
	"ff00::/8",        // multicast, RFC 4291 section 2.7
)

func prefixes(entries ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(entries))
	for i, e := range entries {
		list[i] = netip.MustParsePrefix(e)
	}
	return list
}

// Contains reports whether no mail server of the Internet can have the address:
// it is private, loopback, link-local, for documentation or benchmarks,
// multicast or reserved. An invalid address is in no network.
func Contains(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	return within(private, a) || within(special, a)
}

func within(list []netip.Prefix, a netip.Addr) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
