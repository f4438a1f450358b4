package main

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/miekg/dns"

	harness "github.com/mailweir/mailweir/proxy/internal/peer"
)

// names are all that exists for the client of the measurements: a name, a
// domain, and lists that it is not on.
type names struct {
	*harness.NameServer
	records map[dns.Question][]dns.RR
	asked   atomic.Int64 // questions, but for those with which lists are tested
}

// clientAddress is not the address that each machine has, as lists are asked
// about none of those.
const clientAddress = "127.9.9.9"

// The mail host has an address that could be one on the Internet. Nobody
// connects to it.
const clientRecords = `9.9.9.127.in-addr.arpa. PTR mail.client.test.example.
mail.client.test.example. A 127.9.9.9
client.test.example. A 127.9.9.9
client.test.example. AAAA ::1
client.test.example. MX 10 mx.client.test.example.
mx.client.test.example. A 8.8.8.8
`

func startNames(h *hold, zones int) (*names, error) {
	text := clientRecords
	for i := range zones {
		text += fmt.Sprintf("2.0.0.127.bl%d.test.example. A 127.0.0.2\n", i) // RFC 5782 section 5
	}
	n := &names{records: map[dns.Question][]dns.RR{}}
	parser := dns.NewZoneParser(strings.NewReader("$TTL 600\n"+text), "", "")
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		q := dns.Question{Name: rr.Header().Name, Qtype: rr.Header().Rrtype, Qclass: dns.ClassINET}
		n.records[q] = append(n.records[q], rr)
	}
	if err := parser.Err(); err != nil {
		return nil, err
	}
	return n, try(func() { n.NameServer = harness.Names(h, n.answer) })
}

// answer answers as a resolver does.
func (n *names) answer(_ context.Context, _ string, question *dns.Msg) *dns.Msg {
	q := question.Question[0]
	q.Name = strings.ToLower(q.Name)
	if !isTest(q.Name) {
		n.asked.Add(1)
	}
	if records := n.records[q]; records != nil {
		return harness.Reply(question, dns.RcodeSuccess, records...)
	}
	return harness.Reply(question, dns.RcodeNameError)
}

// isTest reports whether a list is asked about somebody else than a client of the
// measurements: that comes when it will.
func isTest(name string) bool {
	subject, _, ofList := strings.Cut(name, ".bl")
	return ofList && subject != "9.9.9.127" && subject != "1"+strings.Repeat(".0", 31)
}

// zones returns the names of the first n lists, as YAML has them.
func zones(n int) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf("bl%d.test.example", i))
	}
	return strings.Join(list, ", ")
}
