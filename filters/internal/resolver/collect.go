package resolver

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/mailweir/mailweir/filters"
)

// What is kept of one answer.
const (
	maxKept  = 64   // records
	maxTexts = 32   // of them if they are texts
	maxText  = 4096 // octets in all names or texts
)

// collector takes records until there is enough.
type collector struct {
	filters.Answer
	octets int // of names and texts
}

// collect reads the records, which all have one owner and one type.
func collect(records []dns.RR, ttl time.Duration) finding {
	var c collector
	kept := 0
	for _, rr := range records {
		if kept == maxKept || len(c.Texts) == maxTexts {
			break
		}
		if c.take(rr) {
			kept++
		}
	}
	if kept == 0 {
		detail := fmt.Sprintf("%d records were ignored: they are empty, too long, or what they name cannot be a host", len(records))
		return finding{err: filters.ErrNoData, detail: detail, ttl: ttl}
	}
	slices.SortStableFunc(c.MXs, func(x, y filters.MX) int { return cmp.Compare(x.Preference, y.Preference) })
	slices.SortStableFunc(c.SRVs, func(x, y filters.SRV) int {
		// Those without weight come first, as RFC 2782 has them for the choice.
		return cmp.Or(cmp.Compare(x.Priority, y.Priority), cmp.Compare(x.Weight, y.Weight))
	})
	// They live long: without the room that append left.
	c.Addrs, c.Names, c.MXs, c.Texts, c.SRVs = tight(c.Addrs), tight(c.Names), tight(c.MXs), tight(c.Texts), tight(c.SRVs)
	return finding{answer: c.Answer, ttl: ttl}
}

func tight[T any](list []T) []T {
	if len(list) == cap(list) {
		return list
	}
	return append(make([]T, 0, len(list)), list...)
}

// take adds what the record says. It returns false for a record that is
// unwanted, or has no data, which the library lets pass.
func (c *collector) take(rr dns.RR) bool {
	switch rr := rr.(type) {
	case *dns.A:
		return c.addr(rr.A)
	case *dns.AAAA:
		return c.addr(rr.AAAA)
	case *dns.PTR:
		host := strings.TrimSuffix(rr.Ptr, ".")
		if !hostName(host) || !c.fits(host) {
			return false
		}
		c.Names = append(c.Names, host)
	case *dns.MX:
		host := strings.TrimSuffix(rr.Mx, ".")
		if rr.Mx != "." && !hostName(host) || !c.fits(host) {
			return false
		}
		c.MXs = append(c.MXs, filters.MX{Host: host, Preference: rr.Preference})
	case *dns.SRV:
		host := strings.TrimSuffix(rr.Target, ".")
		if rr.Target != "." && !hostName(host) || !c.fits(host) {
			return false
		}
		c.SRVs = append(c.SRVs, filters.SRV{Host: host, Port: rr.Port, Priority: rr.Priority, Weight: rr.Weight})
	case *dns.TXT:
		text := cleanText(unescape(strings.Join(rr.Txt, "")))
		if len(rr.Txt) == 0 || !c.fits(text) {
			return false
		}
		c.Texts = append(c.Texts, text)
	}
	return true
}

func (c *collector) addr(ip net.IP) bool {
	addr, ok := netip.AddrFromSlice(ip)
	if ok {
		c.Addrs = append(c.Addrs, addr)
	}
	return ok
}

// fits counts a name or text if there is still room for it.
func (c *collector) fits(s string) bool {
	if c.octets+len(s) > maxText {
		return false
	}
	c.octets += len(s)
	return true
}

// unescape turns a text into octets. The library has it in the form of zone
// files (RFC 1035 section 5.1): \065 is an octet by its decimal number, other
// characters after a backslash stand for themselves.
func unescape(s string) string {
	var out strings.Builder
	for {
		plain, rest, found := strings.Cut(s, `\`)
		out.WriteString(plain)
		if !found || rest == "" {
			return out.String()
		}
		octet, n := rest[0], 1
		if '0' <= octet && octet <= '9' && len(rest) >= 3 {
			number, _ := strconv.Atoi(rest[:3])
			octet, n = byte(number), 3
		}
		out.WriteByte(octet)
		s = rest[n:]
	}
}
