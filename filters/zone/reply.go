package zone

import (
	"context"
	"time"

	"github.com/miekg/dns"

	"github.com/mailweir/mailweir/filters"
)

// Reply answers as a resolver does to whom the zone is all of the DNS, nil for
// nothing. It returns early when ctx ends.
func (z *Zone) Reply(ctx context.Context, question *dns.Msg) *dns.Msg {
	q := question.Question[0]
	z.Note(q.Name, filters.RecordType(q.Qtype))
	fault := z.Fault(q.Name)
	if fault.Drop {
		return nil
	}
	if fault.Delay > 0 {
		select {
		case <-time.After(fault.Delay):
		case <-ctx.Done():
			return nil
		}
	}
	m := new(dns.Msg).SetReply(question)
	m.RecursionAvailable = true
	records, exists := z.Records(q.Name, q.Qtype)
	switch {
	case fault.Servfail:
		m.Rcode = dns.RcodeServerFailure
	case len(records) > 0:
		m.Answer = records
	default:
		if !exists {
			m.Rcode = dns.RcodeNameError
		}
		m.Ns = []dns.RR{&dns.SOA{ // how long that holds: RFC 2308 section 3
			Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 60},
			Ns:  "ns.test.example.", Mbox: "hostmaster.test.example.", Minttl: 60,
		}}
	}
	if opt := question.IsEdns0(); opt != nil {
		m.SetEdns0(dns.DefaultMsgSize, opt.Do())
	}
	return m
}
