package resolver

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/miekg/dns"
)

// maxRecords is how many records of the answer section are looked at.
const maxRecords = 512

// minSOA is how long the data of a SOA record are at least (RFC 1035 section
// 3.3.13).
const minSOA = 1 + 1 + 5*4

// maxTTL is the longest that a record can live (RFC 2181 section 8).
const maxTTL = math.MaxInt32 * time.Second

// record is a record that may matter.
type record struct {
	owner    string // as in a key, with unusual octets escaped
	typ      uint16
	ttl      time.Duration
	from, to int // its data in the packet
}

// parsed is a packet whose records have been found, but not read yet.
type parsed struct {
	packet    []byte
	asked     string         // the name in the question, as in owner
	answers   []record       // of the type that was asked for, and CNAME
	strangers int            // records of those types that are malformed, of another class, or too many
	soa       *time.Duration // how long to believe that there is nothing
	delegates bool           // there are name servers to ask instead
	extended  int            // the upper bits of the code (RFC 6891 section 6.1.3)
}

// parse finds the records of a packet that fits q. It fails if they do not
// come out as the header says.
func parse(packet []byte, h header, q *query) (*parsed, error) {
	p := &parsed{packet: packet}
	at := headerLen
	if h.questions > 0 {
		at += len(q.question)
		name, ok := p.name(headerLen, at)
		if !ok {
			return nil, fmt.Errorf("%w: bad question", errGarbage)
		}
		p.asked = foldName(name)
	}
	for _, section := range []struct {
		count int
		take  func(record, uint16, int)
	}{
		{h.answers, func(rec record, class uint16, start int) { p.takeAnswer(rec, class, start, q) }},
		{h.authorities, p.takeAuthority},
		{h.additional, p.takeAdditional},
	} {
		for range section.count {
			rec, class, ok := p.record(at)
			if !ok {
				return nil, fmt.Errorf("%w: its records do not come out", errGarbage)
			}
			section.take(rec, class, at)
			at = rec.to
		}
	}
	return p, nil
}

// record finds the borders of the record at that place. Its owner is not read
// yet.
func (p *parsed) record(at int) (rec record, class uint16, ok bool) {
	at, ok = p.skipName(at)
	if !ok || at+10 > len(p.packet) {
		return record{}, 0, false
	}
	rec.typ = binary.BigEndian.Uint16(p.packet[at:])
	class = binary.BigEndian.Uint16(p.packet[at+2:])
	if ttl := binary.BigEndian.Uint32(p.packet[at+4:]); ttl <= math.MaxInt32 {
		rec.ttl = time.Duration(ttl) * time.Second
	}
	rec.from = at + 10
	rec.to = rec.from + int(binary.BigEndian.Uint16(p.packet[at+8:]))
	return rec, class, rec.to <= len(p.packet)
}

// skipName returns where the name at that place ends, without looking where
// it points to.
func (p *parsed) skipName(at int) (int, bool) {
	for at < len(p.packet) {
		switch n := int(p.packet[at]); {
		case n == 0:
			return at + 1, true
		case n >= 0xc0:
			return at + 2, true
		case n > maxLabel:
			return 0, false
		default:
			at += 1 + n
		}
	}
	return 0, false
}

// name reads the name that fills the packet between the two places, except
// for what it points to. It has its final dot, and octets that are unusual in
// names are escaped.
func (p *parsed) name(from, to int) (string, bool) {
	name, end, err := dns.UnpackDomainName(p.packet, from)
	return name, err == nil && end <= to
}

func (p *parsed) takeAnswer(rec record, class uint16, start int, q *query) {
	if rec.typ != uint16(q.typ) && rec.typ != dns.TypeCNAME {
		return // such as the signatures and the DNAME of an alias
	}
	if class == dns.ClassINET && len(p.answers) < maxRecords {
		if owner, ok := p.name(start, rec.from); ok {
			rec.owner = foldName(owner)
			p.answers = append(p.answers, rec)
			return
		}
	}
	p.strangers++
}

func (p *parsed) takeAuthority(rec record, class uint16, _ int) {
	switch {
	case class != dns.ClassINET:
	case rec.typ == dns.TypeNS:
		p.delegates = true
	case rec.typ == dns.TypeSOA && p.soa == nil && rec.to-rec.from >= minSOA:
		minimum := time.Duration(binary.BigEndian.Uint32(p.packet[rec.to-4:])) * time.Second
		ttl := min(rec.ttl, minimum)
		p.soa = &ttl
	}
}

func (p *parsed) takeAdditional(rec record, _ uint16, start int) {
	if rec.typ == dns.TypeOPT && p.packet[start] == 0 {
		// The place of the TTL, of which the first octet counts here.
		p.extended = int(p.packet[rec.from-6])
	}
}
