// Package ipset holds sets of IP addresses and networks, as options and list
// files spell them.
package ipset

import (
	"fmt"
	"net/netip"
	"strings"
)

// Parse reads an address or a network in CIDR notation. IPv4-mapped IPv6
// (RFC 4291 section 2.5.5.2) becomes IPv4.
func Parse(entry string) (netip.Prefix, error) {
	if !strings.Contains(entry, "/") {
		addr, err := netip.ParseAddr(entry)
		switch {
		case err != nil:
			return netip.Prefix{}, notNet(entry)
		case addr.Zone() != "":
			return netip.Prefix{}, fmt.Errorf("%s: a zone is not allowed here, write %s", entry, addr.WithZone(""))
		}
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(entry)
	switch {
	case err != nil:
		return netip.Prefix{}, notNet(entry)
	case p != p.Masked():
		return netip.Prefix{}, fmt.Errorf("%s has host bits set: write %s for the network or %s for the address", entry, p.Masked(), p.Addr())
	case p.Addr().Is4In6(): // without host bits it has at least the 96 bits in front of the IPv4 part
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p, nil
}

func notNet(entry string) error {
	return fmt.Errorf("%q is neither an IP address nor a network such as 192.0.2.0/24 or 2001:db8::/32", entry)
}

// Net is an address or network in an option.
type Net struct{ netip.Prefix }

// UnmarshalText reads what Parse does.
func (n *Net) UnmarshalText(text []byte) (err error) {
	n.Prefix, err = Parse(string(text))
	return err
}

// MarshalText spells a single address without its prefix length.
func (n Net) MarshalText() ([]byte, error) {
	if n.IsSingleIP() {
		return n.Addr().MarshalText()
	}
	return n.Prefix.MarshalText()
}

// Inside returns the networks of addresses that mean nothing to the world: of the
// machine itself, of sites (RFC 1918, RFC 4193), of providers' address translation
// (RFC 6598), and of links (RFC 3927, RFC 4291).
func Inside() []Net {
	nets := Loopback()
	for _, text := range []string{
		"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "fc00::/7", "fe80::/10",
	} {
		nets = append(nets, Net{netip.MustParsePrefix(text)})
	}
	return nets
}

// Loopback returns the networks of the machine itself.
func Loopback() []Net {
	return []Net{
		{netip.MustParsePrefix("127.0.0.0/8")},
		{netip.MustParsePrefix("::1/128")},
	}
}
