package zone_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/zone"
)

// TestServices answers for SRV records, by Lookup and as a name server.
func TestServices(t *testing.T) {
	z := zone.New()
	err := z.Add("_smtp._tcp.example SRV 20 0 25 c.example\n_smtp._tcp.example SRV 10 5 2525 B.example.\n_smtp._tcp.example 300 SRV 10 1 25 a.example\n_pop3._tcp.example SRV 0 0 0 .")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		want filters.Answer
	}{
		{"_smtp._tcp.example", filters.Answer{TTL: 5 * time.Minute, SRVs: []filters.SRV{
			{Host: "a.example", Port: 25, Priority: 10, Weight: 1},
			{Host: "B.example", Port: 2525, Priority: 10, Weight: 5},
			{Host: "c.example", Port: 25, Priority: 20},
		}}},
		{"_pop3._tcp.example", filters.Answer{TTL: time.Minute, SRVs: []filters.SRV{{}}}},
	} {
		got, err := z.Lookup(t.Context(), filters.Question{Name: test.name, Type: filters.TypeSRV})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
		reply := z.Reply(t.Context(), new(dns.Msg).SetQuestion(test.name+".", dns.TypeSRV))
		if len(reply.Answer) != len(test.want.SRVs) {
			t.Errorf("%s: %d records in the reply", test.name, len(reply.Answer))
		}
	}
}
