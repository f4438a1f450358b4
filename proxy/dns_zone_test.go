package proxy_test

import (
	"context"
	"time"

	"github.com/miekg/dns"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/filtertest"
	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// fromZone answers as a resolver does to whom the zone is all of the DNS.
func fromZone(z *filtertest.Zone) peer.Answer {
	return func(ctx context.Context, _ string, question *dns.Msg) *dns.Msg {
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
		if fault.Servfail {
			return peer.Reply(question, dns.RcodeServerFailure)
		}
		records, exists := z.Records(q.Name, q.Qtype)
		if !exists {
			return peer.Reply(question, dns.RcodeNameError)
		}
		return peer.Reply(question, dns.RcodeSuccess, records...)
	}
}
