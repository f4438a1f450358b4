package dnsbl_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/dnsbl"
	"github.com/mailweir/mailweir/filters/filtertest"
)

// recorder notes what is asked besides tests; nothing is found.
type recorder struct {
	*filtertest.Zone
	mu    sync.Mutex
	asked []string
}

func (r *recorder) Lookup(ctx context.Context, q filters.Question) (filters.Answer, error) {
	r.mu.Lock()
	r.asked = append(r.asked, q.Name)
	r.mu.Unlock()
	return r.Zone.Lookup(ctx, q)
}

// leaky answers all questions as its state says, and repeats their names
// wherever it can.
type leaky struct{ state string }

func (l leaky) Fresh() filters.Resolver { return l }

func (leaky) Known(filters.Question) (a filters.Answer, err error, ok bool) { return a, nil, false }

func (l leaky) Lookup(_ context.Context, q filters.Question) (filters.Answer, error) {
	address := netip.MustParseAddr("127.0.0.2")
	has := strings.HasPrefix(q.Name, reverse4+".") || strings.HasPrefix(q.Name, "2.0.0.127.")
	switch {
	case l.state == "fails":
		return filters.Answer{}, &filters.DNSError{Question: q, Err: filters.ErrServFail, Detail: q.Name}
	case l.state == "dead" || strings.HasPrefix(l.state, "listed") && !has:
		return filters.Answer{}, &filters.DNSError{Question: q, Err: filters.ErrNXDomain, Detail: q.Name}
	case l.state == "error":
		address = netip.MustParseAddr("127.255.255.254")
	}
	if q.Type == filters.TypeTXT {
		text := "see " + strings.ToUpper(q.Name) + "\r\n250 ok\x00\x80 " + strings.ReplaceAll(q.Name, ".", " ")
		if l.state == "listed, long" { // a cut goes through the key
			text = strings.Repeat("x", 180) + q.Name
		}
		return filters.Answer{Texts: []string{text}, TTL: time.Minute}, nil
	}
	return filters.Answer{Addrs: []netip.Addr{address}, TTL: time.Minute}, nil
}

func filtertestSprint(v any) string { return fmt.Sprintf("%+v\n", v) }

// TestStrangeText holds that a list's words cannot break a reply.
func TestStrangeText(t *testing.T) {
	env, _ := filtertest.Env("")
	env.Resolver = leaky{"listed"}
	f := filtertest.New[filters.Filter](t, env, dnsbl.Kind, `{zones: [bl.example], threshold: 1, reply: "{text}"}`)
	got := (&bench{Filter: f}).meet(client4, "", "").Finding.Reply.Text
	if want := "see 1.2.0.192.BL.EXAMPLE  250 ok?? 1 2 0 192 bl example"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestReport(t *testing.T) {
	zone := filtertest.NewZone(t, inOrder+reverse4+`.bl.example A 127.0.0.2
other.example SERVFAIL
spam.example.rhs.example A 127.0.0.3
spam.example.rhs.example A 127.0.0.9`)
	env, _ := filtertest.Env("")
	env.Resolver, env.Now = zone, time.Now
	c := filtertest.Conf(t, dnsbl.Kind, `{zones: [bl.example, other.example, {zone: six.example, ipv4: false, ipv6: true},
		{zone: rhs.example, check: [helo, sender], answers: [{match: 127.0.0.3, weight: 2, meaning: spam}, {match: 127.0.0.4, weight: 1}]}], threshold: 3}`).(*dnsbl.Config)
	out, err := dnsbl.Report(t.Context(), env, c, dnsbl.Subject{Client: netip.MustParseAddr(client4), Helo: "spam.example", Sender: "a@spam.example"})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, z := range out.Zones {
		lines = append(lines, fmt.Sprintf("%s %s %s %s %v %q %d %q", z.Zone, z.Check, z.Subject, z.State, z.Answers, z.Meaning, z.Weight, z.Cause))
	}
	want := `bl.example client 192.0.2.1 listed [127.0.0.2] "" 1 ""
other.example client 192.0.2.1 failed [] "" 0 "the name servers failed"
rhs.example helo spam.example listed [127.0.0.3 127.0.0.9] "spam" 2 ""
rhs.example sender spam.example listed [127.0.0.3 127.0.0.9] "spam" 0 ""`
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if !out.Refused || out.Score != 3 || out.Threshold != 3 || out.Exempt || out.Reply != "550 5.7.1 spam.example is listed by rhs.example: spam" {
		t.Errorf("%+v", out)
	}
	out, err = dnsbl.Report(t.Context(), env, c, dnsbl.Subject{Client: netip.MustParseAddr("10.0.0.1")})
	if err != nil || !out.Exempt || len(out.Zones) != 0 {
		t.Errorf("%+v, %v", out, err)
	}
	if _, err := dnsbl.Report(t.Context(), env, &dnsbl.Config{}, dnsbl.Subject{}); err == nil {
		t.Error("a report by a wrong configuration")
	}
}

func TestHealth(t *testing.T) {
	zone := filtertest.NewZone(t, inOrder+`
*.world.example A 127.0.0.2
public.example A 127.255.255.254
*.public.example A 127.255.255.254
test.surbl.org.multi.surbl.org A 127.0.0.248
gone.example SERVFAIL`)
	env, _ := filtertest.Env("")
	env.Resolver, env.Now = zone, time.Now
	c := filtertest.Conf(t, dnsbl.Kind, `{zones: [{zone: bl.example, ipv6: true}, world.example, public.example, gone.example, {zone: off.example, self_test: false}, surbl,
		{zone: rhs.example, check: [helo, sender]}, dead.example]}`).(*dnsbl.Config)
	health, err := dnsbl.Health(t.Context(), env, c)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, h := range health {
		line := fmt.Sprintf("%s %s %v off=%v %q", h.Zone, h.About, h.OK, h.Off, h.Cause)
		for _, p := range h.Probes {
			line += fmt.Sprintf(" | %s: %s, %s %v", p.Subject, p.Want, p.Got, p.OK)
		}
		lines = append(lines, line)
	}
	want := `bl.example IPv4 true off=false "" | 127.0.0.2: listed, 127.0.0.2 true | 127.0.0.1: not listed, not listed true | an address in 127.128.0.0/9: not listed, not listed true
bl.example IPv6 true off=false "" | ::FFFF:7F00:2: listed, 127.0.0.2 true | ::FFFF:7F00:1: not listed, not listed true | an address in ::FFFF:7F80:0/105: not listed, not listed true
world.example IPv4 false off=false "it lists 127.0.0.1, which no list should: it may list the world" | 127.0.0.2: listed, 127.0.0.2 true | 127.0.0.1: not listed, 127.0.0.2 false | an address in 127.128.0.0/9: not listed, 127.0.0.2 false
public.example IPv4 false off=false "an error in place of an answer about 127.0.0.2: it was asked by way of a public resolver: use a resolver of your own" | 127.0.0.2: listed, 127.255.255.254 (it was asked by way of a public resolver: use a resolver of your own) false | 127.0.0.1: not listed, 127.255.255.254 (it was asked by way of a public resolver: use a resolver of your own) false | an address in 127.128.0.0/9: not listed, 127.255.255.254 (it was asked by way of a public resolver: use a resolver of your own) false
gone.example IPv4 false off=false "no answer about 127.0.0.2: the name servers failed" | 127.0.0.2: listed, the name servers failed false | 127.0.0.1: not listed, the name servers failed false | an address in 127.128.0.0/9: not listed, the name servers failed false
off.example IPv4 true off=true "" | 127.0.0.2: any answer, not listed true
multi.surbl.org names true off=false "" | TEST.SURBL.ORG: listed, 127.0.0.248 true | INVALID: not listed, not listed true | a name in EXAMPLE: not listed, not listed true
rhs.example names true off=false "" | TEST: listed, 127.0.0.2 true | INVALID: not listed, not listed true | a name in EXAMPLE: not listed, not listed true
dead.example IPv4 false off=false "it does not list 127.0.0.2, as a live list does" | 127.0.0.2: listed, not listed false | 127.0.0.1: not listed, not listed true | an address in 127.128.0.0/9: not listed, not listed true`
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestManual holds that the manual has all presets, and no line too long for a
// terminal.
func TestManual(t *testing.T) {
	for _, p := range dnsbl.Presets() {
		if !strings.Contains(dnsbl.Kind.Doc, "\n    "+p.Name+" ("+p.Zone) {
			t.Errorf("no preset %s", p.Name)
		}
	}
	for line := range strings.Lines(dnsbl.Kind.Doc) {
		if len(line) > 90 {
			t.Errorf("%d octets: %s", len(line), line)
		}
	}
}
