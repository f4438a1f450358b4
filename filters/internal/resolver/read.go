package resolver

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/mailweir/mailweir/filters"
)

// finding is what a reply says about its question.
type finding struct {
	answer filters.Answer
	err    error         // ErrNXDomain or ErrNoData; nil if there is an answer
	detail string        // about err
	ttl    time.Duration // of all that led here, as the reply says
}

// Why a reply is of no use.
var (
	errGarbage  = errors.New("the reply cannot be read")
	errCut      = errors.New("the reply was cut off where the records begin")
	errReferral = errors.New("it refers to other servers: it is no resolver, or refuses to be ours")
)

// rcodeError is a reply that tells of an error.
type rcodeError int

func (e rcodeError) Error() string {
	if name, ok := dns.RcodeToString[int(e)]; ok {
		return name
	}
	return fmt.Sprintf("RCODE %d", int(e))
}

// Limits of a reply.
const (
	maxRecords = 512 // that are looked at in its answer
	maxLinks   = 16  // CNAME records that are followed
)

// maxTTL is the longest that a record can live (RFC 2181 section 8).
const maxTTL = math.MaxInt32 * time.Second

// read reads a packet that fits the question in all but the case of letters.
// Records of other classes and of other owners are ignored.
func (q *query) read(packet []byte) (finding, error) {
	m, err := unpack(packet)
	if err != nil {
		return finding{}, err
	}
	nothingFor, referral := authority(m)
	switch m.Rcode {
	case dns.RcodeSuccess:
	case dns.RcodeNameError:
		return finding{err: filters.ErrNXDomain, ttl: nothingFor}, nil
	default:
		return finding{}, rcodeError(m.Rcode)
	}
	records, ttl, err := follow(m, q.typ)
	switch {
	case err != nil:
		return finding{}, err
	case len(records) > 0:
		return collect(records, ttl), nil
	case referral:
		return finding{}, errReferral
	case m.Truncated:
		return finding{}, errCut
	}
	out := finding{err: filters.ErrNoData, ttl: min(ttl, nothingFor)}
	if n := len(m.Answer); n > 0 {
		out.detail = fmt.Sprintf("%d records in the answer, none of that type for the name or its aliases", n)
	}
	return out, nil
}

// unpack fails if there are not as many records as the header says: the
// library is content with less.
func unpack(packet []byte) (*dns.Msg, error) {
	m := new(dns.Msg)
	if err := m.Unpack(packet); err != nil {
		return nil, fmt.Errorf("%w: %w", errGarbage, err)
	}
	var h dns.Header
	if _, err := binary.Decode(packet, binary.BigEndian, &h); err != nil {
		return nil, fmt.Errorf("%w: %w", errGarbage, err)
	}
	if len(m.Answer) != int(h.Ancount) || len(m.Ns) != int(h.Nscount) || len(m.Extra) != int(h.Arcount) {
		return nil, fmt.Errorf("%w: records are missing", errGarbage)
	}
	return m, nil
}

// follow goes from alias to alias (RFC 1034 section 3.6.2) until there are
// records of that type, and returns them and the shortest life of all. The
// alias that a DNAME record stands for is in the answer too (RFC 6672 section
// 3.1).
func follow(m *dns.Msg, typ filters.RecordType) (found []dns.RR, ttl time.Duration, err error) {
	name, ttl := m.Question[0].Name, maxTTL
	answer := m.Answer[:min(len(m.Answer), maxRecords)]
	for range maxLinks + 1 {
		var alias *dns.CNAME
		for _, rr := range answer {
			h := rr.Header()
			// The library escapes what is not ASCII.
			if h.Class != dns.ClassINET || !strings.EqualFold(h.Name, name) {
				continue
			}
			if h.Rrtype == uint16(typ) {
				found = append(found, rr)
				ttl = min(ttl, life(h.Ttl))
			} else if alias == nil {
				alias, _ = rr.(*dns.CNAME)
			}
		}
		if len(found) > 0 || alias == nil {
			return found, ttl, nil
		}
		name, ttl = alias.Target, min(ttl, life(alias.Hdr.Ttl))
	}
	return nil, 0, fmt.Errorf("%w: more than %d CNAME records in a row", errGarbage, maxLinks)
}

// authority tells how long to believe that there is nothing (RFC 2308 section
// 5), which is not at all without a SOA record, and whether the reply is but
// the names of other servers.
func authority(m *dns.Msg) (nothingFor time.Duration, referral bool) {
	for _, rr := range m.Ns {
		if rr.Header().Class != dns.ClassINET {
			continue
		}
		switch rr := rr.(type) {
		case *dns.SOA:
			return min(life(rr.Hdr.Ttl), life(rr.Minttl)), false
		case *dns.NS:
			referral = !m.Authoritative && !m.RecursionAvailable
		}
	}
	return 0, referral
}

// life returns how long a TTL is; one that is too long counts as none (RFC
// 2181 section 8).
func life(ttl uint32) time.Duration {
	if ttl > math.MaxInt32 {
		return 0
	}
	return time.Duration(ttl) * time.Second
}
