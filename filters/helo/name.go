package helo

import (
	"net/netip"
	"strings"

	"github.com/mailweir/mailweir/filters/internal/domains"
)

// form is what the argument of HELO or EHLO looks like.
type form uint8

const (
	malformed form = iota
	domain
	literal // an address in brackets (RFC 5321 section 4.1.3)
	bare    // an address without them
)

// parse tells the form of a name, and the address it spells, if it does.
func parse(name string, underscore bool) (form, netip.Addr) {
	if inner, ok := strings.CutPrefix(name, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		if addr, fine := parseLiteral(inner); ok && fine {
			return literal, addr
		}
		return malformed, netip.Addr{}
	}
	if mayBeAddress(name) {
		if addr, err := netip.ParseAddr(name); err == nil {
			return bare, addr.Unmap().WithZone("")
		}
	}
	if domains.Valid(name, underscore) {
		return domain, netip.Addr{}
	}
	return malformed, netip.Addr{}
}

// ipv6Tag stands in front of an IPv6 address in a literal.
const ipv6Tag = "IPv6:"

func parseLiteral(inner string) (netip.Addr, bool) {
	six := len(inner) > len(ipv6Tag) && strings.EqualFold(inner[:len(ipv6Tag)], ipv6Tag)
	if six {
		inner = inner[len(ipv6Tag):]
	}
	addr, err := netip.ParseAddr(inner)
	if err != nil || addr.Zone() != "" || addr.Is6() != six {
		return netip.Addr{}, false
	}
	return addr.Unmap(), true
}

// mayBeAddress keeps domain names from ParseAddr, whose errors allocate.
func mayBeAddress(name string) bool {
	return strings.Contains(name, ":") || strings.Trim(name, ".0123456789") == ""
}
