package proxy_test

import (
	"context"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// lieNames are the first labels of lists whose servers do not tell the truth.
// The others are in order, and have nothing but their test entry.
var lieNames = []string{"slow", "silent", "truncated", "id", "question", "outside", "servfail", "refused", "garbage"}

// lies answers about lists as their first label says. Those that begin with
// sly- tell the truth when they are tested (RFC 5782 section 5).
func lies(ctx context.Context, over string, q *dns.Msg) *dns.Msg {
	name := strings.ToLower(q.Question[0].Name)
	list, _, _ := strings.Cut(strings.TrimSuffix(name, ".bl.test.example."), ".bl.")
	list = list[strings.LastIndexByte(list, '.')+1:]
	if rest, sly := strings.CutPrefix(list, "sly-"); sly && strings.Contains(name, ".20.127.") { // about a client
		list = rest
	}
	answer := func(addr ...byte) *dns.Msg {
		return peer.Reply(q, dns.RcodeSuccess, &dns.A{
			Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60},
			A:   addr,
		})
	}
	switch list {
	case "silent":
		return nil
	case "slow":
		select {
		case <-time.After(2 * entryTimeout):
		case <-ctx.Done():
			return nil
		}
		return answer(127, 0, 0, 2)
	case "truncated":
		m := peer.Reply(q, dns.RcodeSuccess)
		m.Truncated = true
		return m
	case "id":
		m := answer(127, 0, 0, 2)
		m.Id++
		return m
	case "question":
		m := answer(127, 0, 0, 2)
		m.Question[0].Name = "x" + m.Question[0].Name
		m.Answer[0].Header().Name = m.Question[0].Name
		return m
	case "outside":
		return answer(8, 8, 8, 8)
	case "servfail":
		return peer.Reply(q, dns.RcodeServerFailure)
	case "refused":
		return peer.Reply(q, dns.RcodeRefused)
	case "garbage":
		m := answer(127, 0, 0, 2)
		m.Answer[0].Header().Name = "elsewhere.example."
		return m
	}
	if strings.HasPrefix(name, "2.0.0.127.") && q.Question[0].Qtype == dns.TypeA {
		return answer(127, 0, 0, 2)
	}
	return peer.Reply(q, dns.RcodeNameError)
}
