// Package zone imagines the DNS: it answers what a text says, for tests of
// filters and of policies.
package zone

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/mailweir/mailweir/filters"
)

// Zone is a resolver that knows what it is told, and the contents of a scripted
// name server. It is safe for concurrent use.
type Zone struct {
	mu      sync.Mutex
	records map[string][]dns.RR // by lower-case name with final dot
	faults  map[string]Fault
	asked   map[string]int // by name and type
}

// Fault is how a name server misbehaves about a name and all names below it.
type Fault struct {
	Servfail bool          // answers SERVFAIL
	Drop     bool          // never answers
	Delay    time.Duration // answers late
}

// New returns an empty zone.
func New() *Zone {
	return &Zone{records: map[string][]dns.RR{}, faults: map[string]Fault{}, asked: map[string]int{}}
}

// Add adds records in the form of zone files, with names that are absolute
// without a final dot too: "2.0.0.127.bl.example A 127.0.0.2". Three more words
// may stand in place of a type: "SERVFAIL", "DROP" and "DELAY 2s" tell how the
// server misbehaves about the name and all names below it.
func (z *Zone) Add(text string) error {
	z.mu.Lock()
	defer z.mu.Unlock()
	number := 0
	for line := range strings.Lines(text) {
		number++
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], ";") {
			continue
		}
		if fault, ok, err := faultOf(words[1:]); err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		} else if ok {
			z.faults[strings.ToLower(dns.Fqdn(words[0]))] = fault
			continue
		}
		p := dns.NewZoneParser(strings.NewReader(strings.TrimSpace(line)), ".", "")
		p.SetDefaultTTL(60)
		rr, _ := p.Next()
		if err := p.Err(); err != nil || rr == nil {
			return fmt.Errorf("line %d: %q is no record: write one such as 2.0.0.127.bl.example A 127.0.0.2, or NAME SERVFAIL, NAME DROP, NAME DELAY 2s", number, strings.TrimSpace(line))
		}
		name := strings.ToLower(rr.Header().Name)
		z.records[name] = append(z.records[name], rr)
	}
	return nil
}

// Clear forgets all records and faults.
func (z *Zone) Clear() {
	z.mu.Lock()
	defer z.mu.Unlock()
	clear(z.records)
	clear(z.faults)
}

func faultOf(words []string) (f Fault, ok bool, err error) {
	switch {
	case len(words) == 1 && words[0] == "SERVFAIL":
		return Fault{Servfail: true}, true, nil
	case len(words) == 1 && words[0] == "DROP":
		return Fault{Drop: true}, true, nil
	case len(words) == 2 && words[0] == "DELAY":
		if f.Delay, err = time.ParseDuration(words[1]); err != nil || f.Delay < 0 {
			return f, true, fmt.Errorf("%q is no duration: write one such as 2s", words[1])
		}
		return f, true, nil
	}
	return f, false, nil
}

// Fault returns how the server misbehaves about that name.
func (z *Zone) Fault(name string) Fault {
	z.mu.Lock()
	defer z.mu.Unlock()
	name = strings.ToLower(dns.Fqdn(name))
	for at := name; ; {
		if f, ok := z.faults[at]; ok {
			return f
		}
		i, end := dns.NextLabel(at, 0)
		if end || i >= len(at) {
			return z.faults["."]
		}
		at = at[i:]
	}
}

// Records returns the records of that name and type, with the CNAME records
// that lead to them, and whether the name exists. "*." in front of a name
// stands for all names below it that have no records of their own.
func (z *Zone) Records(name string, typ uint16) (answer []dns.RR, exists bool) {
	z.mu.Lock()
	defer z.mu.Unlock()
	name = strings.ToLower(dns.Fqdn(name))
	for range 8 {
		own, found := z.at(name)
		exists = exists || found || z.above(name)
		next := ""
		for _, rr := range own {
			rr = dns.Copy(rr)
			rr.Header().Name = name
			switch cname, alias := rr.(*dns.CNAME); {
			case rr.Header().Rrtype == typ:
				answer = append(answer, rr)
			case alias:
				answer, next = append(answer, rr), strings.ToLower(cname.Target)
			}
		}
		if next == "" {
			return answer, exists
		}
		name = next
	}
	return answer, exists
}

func (z *Zone) at(name string) ([]dns.RR, bool) {
	if rrs, ok := z.records[name]; ok {
		return rrs, true
	}
	for at := name; ; {
		i, end := dns.NextLabel(at, 0)
		if end {
			return nil, false
		}
		at = at[i:]
		if rrs, ok := z.records["*."+at]; ok {
			return rrs, true
		}
	}
}

// HasBelow reports whether some name lies below that one.
func (z *Zone) HasBelow(name string) bool {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.above(strings.ToLower(dns.Fqdn(name)))
}

// above is HasBelow: such a name exists (RFC 8020).
func (z *Zone) above(name string) bool {
	for other := range z.records {
		if strings.HasSuffix(other, "."+name) {
			return true
		}
	}
	return false
}

// Asked returns how many times the question was put.
func (z *Zone) Asked(name string, typ filters.RecordType) int {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.asked[key(name, typ)]
}

// Note counts a question.
func (z *Zone) Note(name string, typ filters.RecordType) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.asked[key(name, typ)]++
}

func key(name string, typ filters.RecordType) string {
	return strings.ToLower(dns.Fqdn(name)) + " " + typ.String()
}

// Lookup implements filters.Resolver. It has no cache.
func (z *Zone) Lookup(ctx context.Context, q filters.Question) (filters.Answer, error) {
	z.Note(q.Name, q.Type)
	if err := z.Fault(q.Name).suffer(ctx); err != nil {
		return filters.Answer{}, &filters.DNSError{Question: q, Err: err}
	}
	rrs, exists := z.Records(q.Name, uint16(q.Type))
	a, err := answerOf(rrs, q.Type)
	switch {
	case err != nil:
		return filters.Answer{}, &filters.DNSError{Question: q, Err: filters.ErrServFail, Detail: err.Error()}
	case a.TTL > 0:
		return a, nil
	case exists:
		return filters.Answer{}, &filters.DNSError{Question: q, Err: filters.ErrNoData}
	}
	return filters.Answer{}, &filters.DNSError{Question: q, Err: filters.ErrNXDomain}
}

// suffer waits as the server lets one wait.
func (f Fault) suffer(ctx context.Context) error {
	late := ctx
	if !f.Drop {
		var cancel context.CancelFunc
		late, cancel = context.WithTimeout(ctx, f.Delay)
		defer cancel()
	}
	<-late.Done()
	switch err := ctx.Err(); {
	case errors.Is(err, context.DeadlineExceeded):
		return filters.ErrDNSTimeout
	case err != nil:
		return err
	case f.Servfail:
		return filters.ErrServFail
	}
	return nil
}

// Known implements filters.Resolver: it knows nothing without being asked.
func (z *Zone) Known(filters.Question) (filters.Answer, error, bool) {
	return filters.Answer{}, nil, false
}

// Fresh implements filters.Resolver.
func (z *Zone) Fresh() filters.Resolver { return z }

// answerOf reads the records of that type; a TTL of 0 means that there are none.
func answerOf(rrs []dns.RR, typ filters.RecordType) (a filters.Answer, err error) {
	for _, rr := range rrs {
		if rr.Header().Rrtype != uint16(typ) {
			continue
		}
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
		case *dns.SRV:
			a.SRVs = append(a.SRVs, filters.SRV{Host: strings.TrimSuffix(rr.Target, "."), Port: rr.Port, Priority: rr.Priority, Weight: rr.Weight})
		case *dns.TXT:
			a.Texts = append(a.Texts, strings.Join(rr.Txt, ""))
		default:
			return a, errors.New("a type that nobody asks for")
		}
	}
	slices.SortStableFunc(a.MXs, func(x, y filters.MX) int { return int(x.Preference) - int(y.Preference) })
	slices.SortStableFunc(a.SRVs, func(x, y filters.SRV) int {
		return cmp.Or(cmp.Compare(x.Priority, y.Priority), cmp.Compare(x.Weight, y.Weight))
	})
	return a, nil
}
