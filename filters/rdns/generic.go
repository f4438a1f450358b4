package rdns

import (
	"net/netip"
	"strings"

	"golang.org/x/net/publicsuffix"

	"github.com/mailweir/mailweir/filters/internal/domains"
)

// Words that providers give to lines that get their addresses by dialling in or
// by DHCP, and to those of households. "res" is not here: res.cisco.com is a
// mail server's.
var genericWords = []Word{
	"abo", "adsl", "broadband", "cable", "catv", "client", "cpe", "cust", "customer", "customers",
	"dhcp", "dial", "dialin", "dialup", "dip", "dsl", "dyn", "dynamic", "dynamicip", "dynip",
	"ftth", "gprs", "hotspot", "lte", "mobile", "pool", "pools", "ppp", "pppoe", "residential", "resnet",
	"umts", "unallocated", "unassigned", "vdsl", "wifi", "wimax", "wlan", "xdsl",
}

// Words of names that somebody has set for a server, or a line whose address
// stays.
var trustedWords = []Word{
	"email", "fixed", "mail", "mailer", "mailgw", "mailhost", "mailout", "mta", "mx", "outbound", "relay", "smtp", "static",
}

// look knows how generic names look.
type look struct {
	words   map[Word]bool // whether a name with it is generic; false clears a name
	domains *domains.Set
}

func newLook(c *Config) *look {
	l := &look{map[Word]bool{}, domains.Of(c.TrustedDomains)}
	for _, w := range c.GenericWords {
		l.words[w] = true
	}
	for _, w := range c.TrustedWords {
		l.words[w] = false
	}
	return l
}

// generic reports whether a name looks like one that was made up for a line, as
// others were for its neighbours. The time it takes grows with the length of
// the name alone.
func (l *look) generic(name string, client netip.Addr) bool {
	if l.domains.Contains(name) {
		return false
	}
	name = strings.ToLower(name)
	marked := false
	for word := range strings.FieldsFuncSeq(hostPart(name), notLetter) {
		generic, listed := l.words[Word(word)]
		if listed && !generic {
			return false
		}
		marked = marked || generic
	}
	return marked || spells(name, client)
}

// hostPart returns what stands in front of the domain that somebody registered.
// Domains whose owners let others register below are such a domain too: the
// names of rented servers are made up by whoever rents them out.
func hostPart(name string) string {
	suffix, icann := publicsuffix.PublicSuffix(name)
	for !icann {
		_, parent, ok := strings.Cut(suffix, ".")
		if !ok {
			break
		}
		suffix, icann = publicsuffix.PublicSuffix(parent)
	}
	host := strings.TrimSuffix(strings.TrimSuffix(name, suffix), ".")
	return host[:max(strings.LastIndexByte(host, '.'), 0)]
}
