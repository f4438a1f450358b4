package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/mailweir/mailweir/filters"
)

// zone is the DNS of a test. It has no memory beside what the test says.
type zone struct {
	records map[string][]dns.RR // by lower-case name with final dot
	faults  map[string]fault    // by the same; of all names below, too
}

// fault is how the servers of a name misbehave.
type fault struct {
	fails, silent bool
	late          time.Duration
}

// parseZone reads what a test says of the DNS: see rules.Test.
func parseZone(text string) (*zone, error) {
	z := &zone{records: map[string][]dns.RR{}, faults: map[string]fault{}}
	number := 0
	for line := range strings.Lines(text) {
		number++
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], ";") {
			continue
		}
		if err := z.add(line, words); err != nil {
			return nil, fmt.Errorf("dns: line %d: %w", number, err)
		}
	}
	return z, nil
}

func (z *zone) add(line string, words []string) error {
	f, ok, err := faultOf(words[1:])
	if err != nil {
		return err
	}
	if ok {
		z.faults[strings.ToLower(dns.Fqdn(words[0]))] = f
		return nil
	}
	p := dns.NewZoneParser(strings.NewReader(strings.TrimSpace(line)), ".", "")
	p.SetDefaultTTL(60)
	rr, _ := p.Next()
	if p.Err() != nil || rr == nil {
		return fmt.Errorf("%q is no record: write one such as 2.0.0.127.bl.example A 127.0.0.2, or NAME SERVFAIL, NAME DROP, NAME DELAY 2s", strings.TrimSpace(line))
	}
	name := strings.ToLower(rr.Header().Name)
	z.records[name] = append(z.records[name], rr)
	return nil
}

func faultOf(words []string) (f fault, ok bool, err error) {
	switch {
	case len(words) == 1 && words[0] == "SERVFAIL":
		return fault{fails: true}, true, nil
	case len(words) == 1 && words[0] == "DROP":
		return fault{silent: true}, true, nil
	case len(words) == 2 && words[0] == "DELAY":
		if f.late, err = time.ParseDuration(words[1]); err != nil || f.late < 0 {
			return f, true, fmt.Errorf("%q is no duration: write one such as 2s", words[1])
		}
		return f, true, nil
	}
	return f, false, nil
}

// Lookup implements filters.Resolver.
func (z *zone) Lookup(ctx context.Context, q filters.Question) (filters.Answer, error) {
	name := strings.ToLower(dns.Fqdn(q.Name))
	if err := z.faultAt(name).suffer(ctx); err != nil {
		return filters.Answer{}, &filters.DNSError{Question: q, Err: err}
	}
	records, exists := z.follow(name, uint16(q.Type))
	if len(records) > 0 {
		return answerOf(records), nil
	}
	if q.Type == filters.TypeA && z.isTestEntry(name) {
		return filters.Answer{Addrs: []netip.Addr{testEntry}, TTL: time.Minute}, nil
	}
	err := filters.ErrNXDomain
	if exists {
		err = filters.ErrNoData
	}
	return filters.Answer{}, &filters.DNSError{Question: q, Err: err}
}

// suffer waits as the servers let one wait.
func (f fault) suffer(ctx context.Context) error {
	var late <-chan time.Time // never
	if !f.silent {
		late = time.After(f.late)
	}
	select {
	case <-late:
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return filters.ErrDNSTimeout
		}
		return ctx.Err()
	}
	if f.fails {
		return filters.ErrServFail
	}
	return nil
}

// Under these labels a list of addresses has its test entry (RFC 5782 section
// 5), without which it is taken for dead.
var (
	testEntries = []string{"2.0.0.127.", "2.0.0.0.0.0.f.7.f.f.f.f" + strings.Repeat(".0", 20) + "."}
	testEntry   = netip.MustParseAddr("127.0.0.2")
)

// isTestEntry reports whether the name is that of the test entry of a list that
// has others, so that tests need not spell it.
func (z *zone) isTestEntry(name string) bool {
	for _, labels := range testEntries {
		if list, ok := strings.CutPrefix(name, labels); ok && z.hasBelow(list) {
			return true
		}
	}
	return false
}

// faultAt returns how the servers of a name misbehave.
func (z *zone) faultAt(name string) fault {
	for at := name; ; at = above(at) {
		if f, ok := z.faults[at]; ok || at == "." {
			return f
		}
	}
}

// above returns the name without its first label.
func above(name string) string {
	if i, end := dns.NextLabel(name, 0); !end {
		return name[i:]
	}
	return "."
}

// maxAliases bounds the CNAME records in a row, as resolvers do.
const maxAliases = 8

// follow returns the records of that name and type, and whether the name exists.
func (z *zone) follow(name string, typ uint16) (found []dns.RR, exists bool) {
	for range maxAliases {
		own := z.at(name)
		exists = exists || len(own) > 0 || z.hasBelow(name)
		alias := ""
		for _, rr := range own {
			if cname, ok := rr.(*dns.CNAME); ok {
				alias = strings.ToLower(cname.Target)
			}
			if rr.Header().Rrtype == typ {
				found = append(found, rr)
			}
		}
		if len(found) > 0 || alias == "" {
			return found, exists
		}
		name = alias
	}
	return nil, exists
}

// at returns the records of a name, or of the wildcard above it.
func (z *zone) at(name string) []dns.RR {
	if own, ok := z.records[name]; ok {
		return own
	}
	for at := above(name); at != "."; at = above(at) {
		if own, ok := z.records["*."+at]; ok {
			return own
		}
	}
	return nil
}

// hasBelow reports whether a name lies below that one, which then exists (RFC
// 8020).
func (z *zone) hasBelow(name string) bool {
	for other := range z.records {
		if strings.HasSuffix(other, "."+name) {
			return true
		}
	}
	return false
}

func answerOf(records []dns.RR) filters.Answer {
	var a filters.Answer
	for _, rr := range records {
		a.TTL = time.Duration(max(rr.Header().Ttl, 1)) * time.Second
		switch rr := rr.(type) {
		case *dns.A:
			addr, _ := netip.AddrFromSlice(rr.A.To4())
			a.Addrs = append(a.Addrs, addr)
		case *dns.AAAA:
			addr, _ := netip.AddrFromSlice(rr.AAAA.To16())
			a.Addrs = append(a.Addrs, addr)
		case *dns.PTR:
			a.Names = append(a.Names, strings.TrimSuffix(rr.Ptr, "."))
		case *dns.MX:
			a.MXs = append(a.MXs, filters.MX{Host: strings.TrimSuffix(rr.Mx, "."), Preference: rr.Preference})
		case *dns.TXT:
			a.Texts = append(a.Texts, strings.Join(rr.Txt, ""))
		}
	}
	slices.SortStableFunc(a.MXs, func(x, y filters.MX) int { return int(x.Preference) - int(y.Preference) })
	return a
}

// Known implements filters.Resolver: nothing is known without being asked.
func (z *zone) Known(filters.Question) (filters.Answer, error, bool) {
	return filters.Answer{}, nil, false
}

// Fresh implements filters.Resolver.
func (z *zone) Fresh() filters.Resolver { return z }
