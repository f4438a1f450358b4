package resolver

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/mailweir/mailweir/filters"
)

// What is kept of one answer.
const (
	maxKept  = 64   // records
	maxTexts = 32   // of them if they are texts
	maxText  = 4096 // octets in all names or texts
)

// collector reads records until there is enough.
type collector struct {
	*parsed
	filters.Answer
	octets  int // of names and texts
	ignored int
}

// collect reads the records, which all have one owner and that type.
func (p *parsed) collect(typ filters.RecordType, records []record, ttl time.Duration) finding {
	c := &collector{parsed: p}
	for _, rec := range records {
		if len(c.Addrs)+len(c.Names)+len(c.MXs) == maxKept || len(c.Texts) == maxTexts {
			break
		}
		if !c.take(typ, rec) {
			c.ignored++
		}
	}
	if len(c.Addrs)+len(c.Names)+len(c.MXs)+len(c.Texts) == 0 {
		detail := fmt.Sprintf("%d records were ignored: they are malformed, too long, or what they name cannot be a host", c.ignored)
		return finding{err: filters.ErrNoData, detail: detail, ttl: ttl}
	}
	slices.SortStableFunc(c.MXs, func(x, y filters.MX) int { return cmp.Compare(x.Preference, y.Preference) })
	// They live long: without the room that append left.
	c.Addrs, c.Names, c.MXs, c.Texts = tight(c.Addrs), tight(c.Names), tight(c.MXs), tight(c.Texts)
	return finding{answer: c.Answer, ttl: ttl}
}

func tight[T any](list []T) []T {
	if len(list) == cap(list) {
		return list
	}
	return append(make([]T, 0, len(list)), list...)
}

// take adds what the record says. It returns false for a record that is
// malformed or unwanted.
func (c *collector) take(typ filters.RecordType, rec record) bool {
	data := c.packet[rec.from:rec.to]
	switch typ {
	case filters.TypeA, filters.TypeAAAA:
		addr, ok := netip.AddrFromSlice(data)
		if !ok || addr.Is4() != (typ == filters.TypeA) {
			return false
		}
		c.Addrs = append(c.Addrs, addr)
	case filters.TypePTR:
		host, ok := c.host(rec.from, rec.to)
		if !ok || host == "" {
			return false
		}
		c.Names = append(c.Names, host)
	case filters.TypeMX:
		if len(data) < 2 {
			return false
		}
		host, ok := c.host(rec.from+2, rec.to)
		if !ok {
			return false
		}
		c.MXs = append(c.MXs, filters.MX{Host: host, Preference: binary.BigEndian.Uint16(data)})
	case filters.TypeTXT:
		text, ok := joined(data)
		if !ok || c.octets+len(text) > maxText {
			return false
		}
		c.octets += len(text)
		c.Texts = append(c.Texts, cleanText(text))
	}
	return true
}

// host reads the name between the two places, "" for the root.
func (c *collector) host(from, to int) (string, bool) {
	target, ok := c.name(from, to)
	if !ok || target == "." {
		return "", ok
	}
	target = strings.TrimSuffix(target, ".")
	if !hostName(target) || c.octets+len(target) > maxText {
		return "", false
	}
	c.octets += len(target)
	return target, true
}

// joined returns the strings of a TXT record one after the other (RFC 1035
// section 3.3.14).
func joined(data []byte) ([]byte, bool) {
	if len(data) == 0 {
		return nil, false
	}
	text := make([]byte, 0, len(data))
	for len(data) > 0 {
		n := int(data[0])
		if 1+n > len(data) {
			return nil, false
		}
		text = append(text, data[1:1+n]...)
		data = data[1+n:]
	}
	return text, true
}
