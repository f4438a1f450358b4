package rdns

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/mailweir/mailweir/filters/internal/domains"
)

func defaultLook() *look { return newLook(Kind.Conf().(*Config)) }

func TestGeneric(t *testing.T) {
	const v4, v6 = "203.0.113.45", "2001:db8:1f::c0a8"
	for _, c := range []struct {
		client, name string
		want         bool
	}{
		// addresses
		{v4, "203-0-113-45.isp.example", true},
		{v4, "host-203-0-113-45.isp.example", true},
		{v4, "ip203.0.113.45.isp.example", true},
		{v4, "45.113.0.203.isp.example", true},
		{v4, "c-45_113_0_203.isp.example", true},
		{v4, "203x0x113x45.isp.example", true},
		{v4, "203-000-113-045.isp.example", true},
		{v4, "h203000113045.isp.example", true},
		{v4, "h045113000203.isp.example", true},
		{v4, "pCB00712D.line.isp.example", true},
		{v4, "2d7100cb.isp.example", true},
		{v4, "cb-00-71-2d.isp.example", true},
		{v4, "203-0-113-45-host.com", true},
		{v4, "ec2-203-0-113-45.eu-west-1.compute.amazonaws.com", true},
		{v4, "203-0-113-46.isp.example", false},
		{v4, "203-0-113-451.isp.example", false},
		{v4, "1203-0-113-45.isp.example", false},
		{v4, "203--0--113--45.isp.example", false},
		{v4, "113-45.isp.example", false},
		{v4, "m113-45.isp.example", false},
		{v6, "2001-db8-1f-0-0-0-0-c0a8.isp.example", true},
		{v6, "h2001-0db8-001f-0000-0000-0000-0000-c0a8.isp.example", true},
		{v6, "2001-db8-1f--c0a8.isp.example", true},
		{v6, "p20010db8001f0000000000000000c0a8.isp.example", true},
		{v6, "8.a.0.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.f.1.0.0.8.b.d.0.1.0.0.2.isp.example", true},
		{v6, "8a0c0000000000000000f1008bd01002.isp.example", true},
		{v6, "2001-db8-1f--c0a9.isp.example", false},
		{v6, "db8-1f.isp.example", false},

		// words
		{v4, "dyn-7.isp.example", true},
		{v4, "a7.dsl12.isp.example", true},
		{v4, "a7.ADSL.isp.example", true},
		{v4, "ppp7.isp.co.uk", true},
		{v4, "cable.isp.example", true},
		{v4, "pool.example", false},
		{v4, "mail1.pool.example", false},
		{v4, "a7.client.co.uk", false},
		{v4, "a7.dsl.client.co.uk", true},
		{v4, "dsl.s3.amazonaws.com", true},
		{v4, "dynamo7.isp.example", false},
		{v4, "a7.poolside.isp.example", false},
		{v4, "node7.isp.example", false},
		{v4, "res.cisco.com", false},

		// what clears a name
		{v4, "static-203-0-113-45.isp.example", false},
		{v4, "203-0-113-45.static.isp.example", false},
		{v4, "mail2.dsl.isp.example", false},
		{v4, "smtp-203-0-113-45.isp.example", false},
		{v4, "mailing-203-0-113-45.isp.example", true},
		{v4, "203-0-113-45.mail.example", true},
		{v4, "203-0-113-45.vps.trusted.example", false},
		{v4, "vps.203-0-113-45.trusted.example.com", true},

		// no names at all
		{v4, "", false},
		{v4, ".", false},
		{v4, "...dsl...", true},
		{v4, "\xff\x00.dsl.isp.example", true},
		{v4, "localhost", false},
		{"", "203-0-113-45.isp.example", false},
	} {
		look := defaultLook()
		look.domains = domains.Of([]domains.Pattern{".trusted.example"})
		client, _ := netip.ParseAddr(c.client)
		if got := look.generic(c.name, client); got != c.want {
			t.Errorf("%s for %s: %v", c.name, c.client, got)
		}
	}
}

// TestGenericIsLinear holds the longest and worst names to a moment.
func TestGenericIsLinear(t *testing.T) {
	look := defaultLook()
	began := time.Now()
	for _, part := range []string{"0.", "0", "a.", "dyn.", "203-0-113-", "f-"} {
		name := strings.Repeat(part, 100_000/len(part))
		for _, client := range []string{"0.0.0.0", "203.0.113.45", "2001:db8::1"} {
			look.generic(name, netip.MustParseAddr(client))
		}
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
}

func FuzzGeneric(f *testing.F) {
	f.Add("host-203-0-113-45.isp.example", []byte{203, 0, 113, 45})
	f.Add("dyn.\xff..co.uk", []byte("0123456789abcdef"))
	f.Add("8.a.0.c.0.0", []byte{})
	look := defaultLook()
	f.Fuzz(func(t *testing.T, name string, octets []byte) {
		client, _ := netip.AddrFromSlice(octets)
		got := look.generic(name, client)
		if again := look.generic(strings.ToUpper(name), client); isASCII(name) && again != got {
			t.Errorf("%q: %v, in upper case %v", name, got, again)
		}
		if client.IsValid() && isASCII(name) {
			spelt := strings.NewReplacer(".", "-", ":", "-").Replace(client.Unmap().String()) + ".isp.example"
			if !look.generic(spelt, client) {
				t.Errorf("%q does not look generic for %v", spelt, client)
			}
		}
	})
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c >= 0x80 })
}
