package peer_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// One resolver asks a list, an authority and a server of ours, and knows
// nothing else.
func TestNameDaemons(t *testing.T) {
	list := peer.RBLDNSD(t, map[string]string{"bl.test.example": ":127.0.0.3:no $\n127.0.0.2\n198.51.100.0/24\n"})
	authority := peer.NSD(t, map[string]string{
		"zone.test.example":       "@ MX 0 .\nbig TXT \"" + strings.Repeat("x", 200) + "\"\n",
		"2.0.192.in-addr.arpa":    "1 PTR mail.zone.test.example.\n",
		"127.in-addr.arpa":        "9.0.0 PTR local.zone.test.example.\n",
		"100.51.198.in-addr.arpa": "",
	})
	ours := peer.Names(t, func(_ context.Context, _ string, q *dns.Msg) *dns.Msg {
		m := new(dns.Msg).SetReply(q)
		m.Authoritative = true
		rr, err := dns.NewRR(q.Question[0].Name + " 60 A 127.0.0.77")
		if err != nil {
			t.Error(err)
		}
		m.Answer = append(m.Answer, rr)
		return m
	})
	resolver := peer.Unbound(t, map[string]string{
		"bl.test.example":         list.Addr,
		"zone.test.example":       authority.Addr,
		"2.0.192.in-addr.arpa":    authority.Addr,
		"127.in-addr.arpa":        authority.Addr,
		"100.51.198.in-addr.arpa": authority.Addr,
		"ours.test.example":       ours.Addr,
	})
	for _, c := range []struct {
		name  string
		typ   uint16
		rcode int
		want  string
	}{
		{"2.0.0.127.bl.test.example.", dns.TypeA, dns.RcodeSuccess, "127.0.0.3"},
		{"7.100.51.198.bl.test.example.", dns.TypeTXT, dns.RcodeSuccess, "no 198.51.100.7"},
		{"1.0.0.127.bl.test.example.", dns.TypeA, dns.RcodeNameError, ""},
		{"zone.test.example.", dns.TypeMX, dns.RcodeSuccess, "0 ."},
		{"1.2.0.192.in-addr.arpa.", dns.TypePTR, dns.RcodeSuccess, "mail.zone.test.example."},
		{"9.0.0.127.in-addr.arpa.", dns.TypePTR, dns.RcodeSuccess, "local.zone.test.example."},
		{"7.100.51.198.in-addr.arpa.", dns.TypePTR, dns.RcodeNameError, ""},
		{"a.ours.test.example.", dns.TypeA, dns.RcodeSuccess, "127.0.0.77"},
		{"elsewhere.example.", dns.TypeA, dns.RcodeNameError, ""},
	} {
		m := ask(t, resolver.Addr, c.name, c.typ)
		if m.Rcode != c.rcode {
			t.Errorf("%s: %s, want %s", c.name, dns.RcodeToString[m.Rcode], dns.RcodeToString[c.rcode])
		}
		got := ""
		for _, rr := range m.Answer {
			got += strings.Trim(strings.TrimPrefix(rr.String(), rr.Header().String()), `"`)
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	list.Kill()
	list.Start(t)
	if m := ask(t, list.Addr, "2.0.0.127.bl.test.example.", dns.TypeA); len(m.Answer) != 1 {
		t.Errorf("a list that has come back says %v", m)
	}
}

// A server that has been stopped is silent, and can come back.
func TestNames(t *testing.T) {
	server := peer.Names(t, func(_ context.Context, over string, q *dns.Msg) *dns.Msg {
		m := new(dns.Msg).SetReply(q)
		for range 100 {
			m.Answer = append(m.Answer, &dns.TXT{
				Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeTXT, Class: dns.ClassINET},
				Txt: []string{"over " + over},
			})
		}
		return m
	})
	if m := ask(t, server.Addr, "big.example.", dns.TypeTXT); !m.Truncated {
		t.Error("a hundred records fit into 512 octets")
	}
	over := dns.Client{Net: "tcp"}
	if m, _, err := over.Exchange(new(dns.Msg).SetQuestion("big.example.", dns.TypeTXT), server.Addr); err != nil || len(m.Answer) != 100 {
		t.Errorf("over TCP: %v, %v", m, err)
	}
	server.Stop()
	client := dns.Client{Timeout: 50 * time.Millisecond}
	if m, _, err := client.Exchange(new(dns.Msg).SetQuestion("big.example.", dns.TypeTXT), server.Addr); err == nil {
		t.Errorf("a stopped server says %v", m)
	}
	server.Start(t)
	ask(t, server.Addr, "big.example.", dns.TypeTXT)
}

func ask(t *testing.T, server, name string, typ uint16) *dns.Msg {
	t.Helper()
	m, _, err := new(dns.Client).Exchange(new(dns.Msg).SetQuestion(name, typ), server)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return m
}
