package resolver

import (
	"errors"
	"fmt"
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

// maxLinks is how many CNAME records are followed.
const maxLinks = 16

// read reads a packet that fits the question in all but the case of letters.
// Records of other classes, of other owners and those that are malformed are
// ignored.
func (q *query) read(packet []byte) (finding, error) {
	h := headerOf(packet)
	p, err := parse(packet, h, q)
	if err != nil {
		return finding{}, err
	}
	switch rcode := h.rcode | p.extended<<4; {
	case rcode == dns.RcodeNameError:
		return finding{err: filters.ErrNXDomain, ttl: p.negativeTTL(maxTTL)}, nil
	case rcode != dns.RcodeSuccess:
		return finding{}, rcodeError(rcode)
	}
	name, records, ttl, err := p.follow(q.typ)
	switch {
	case err != nil:
		return finding{}, err
	case len(records) > 0:
		return p.collect(q.typ, records, ttl), nil
	case p.soa == nil && p.delegates && !h.authoritative && !h.recursive:
		return finding{}, errReferral
	}
	out := finding{err: filters.ErrNoData, ttl: p.negativeTTL(ttl)}
	if ignored := len(p.answers) + p.strangers; name == p.asked && ignored > 0 {
		out.detail = fmt.Sprintf("%d records that do not belong to the question were ignored", ignored)
	}
	return out, nil
}

// follow goes from alias to alias (RFC 1034 section 3.6.2) until there are
// records of that type, and returns the last name, its records, and the
// shortest life of all. The alias that a DNAME record stands for is in the
// answer too (RFC 6672 section 3.1).
func (p *parsed) follow(typ filters.RecordType) (name string, found []record, ttl time.Duration, err error) {
	name, ttl = p.asked, maxTTL
	for range maxLinks + 1 {
		var alias *record
		for i, rec := range p.answers {
			switch {
			case rec.owner != name:
			case rec.typ == uint16(typ):
				found = append(found, rec)
				ttl = min(ttl, rec.ttl)
			case alias == nil && rec.typ == dns.TypeCNAME:
				alias = &p.answers[i]
			}
		}
		if len(found) > 0 || alias == nil {
			return name, found, ttl, nil
		}
		target, ok := p.name(alias.from, alias.to)
		if !ok {
			return name, nil, ttl, nil
		}
		name, ttl = foldName(target), min(ttl, alias.ttl)
	}
	return "", nil, 0, fmt.Errorf("%w: more than %d CNAME records in a row", errGarbage, maxLinks)
}

// negativeTTL returns how long to believe that there is nothing (RFC 2308
// section 5). Without a SOA record that is not at all.
func (p *parsed) negativeTTL(ttl time.Duration) time.Duration {
	if p.soa == nil {
		return 0
	}
	return min(ttl, *p.soa)
}
