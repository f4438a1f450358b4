package dnsbl

import (
	"hash/maphash"
	"net/netip"
	"strings"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/internal/domains"
)

// subject is what the lists are asked about.
type subject struct {
	check  Check
	shown  string
	labels string // before a zone's name
	addr   netip.Addr
	key    uint64 // for windows: networks of 64 bits for IPv6
}

var seed = maphash.MakeSeed()

// clientSubject is the subject of an address without zone, not mapped.
func clientSubject(a netip.Addr) subject {
	net := a
	if a.Is6() {
		prefix, _ := a.Prefix(64)
		net = prefix.Addr()
	}
	return subject{CheckClient, a.String(), filters.ReverseLabels(a), a, maphash.Comparable(seed, net)}
}

func domainSubject(c Check, domain string) subject {
	return subject{check: c, shown: domain, labels: domain, key: maphash.String(seed, domain)}
}

// domainOf returns a name in the form that lists have, if it is the name of a
// domain that they may have: no address, in whatever form, and no name without
// a dot.
func domainOf(name string) (string, bool) {
	name = strings.TrimSuffix(name, ".")
	if !domains.Valid(name, true) {
		p, err := domains.Parse(name)
		if err != nil || strings.HasPrefix(string(p), ".") {
			return "", false
		}
		name = string(p)
	}
	top := name[strings.LastIndexByte(name, '.')+1:]
	if top == name || strings.Trim(top, "0123456789") == "" {
		return "", false
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return "", false
	}
	return strings.ToLower(name), true
}
