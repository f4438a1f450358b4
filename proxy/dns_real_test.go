package proxy_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/mailweir/mailweir/filters/filtertest"
	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// A town is what the clients of a test live in: their names and domains, in
// the form of zone files, by zone.
type town map[string]*strings.Builder

const townDomain = "town.test.example"

// newTown makes a town of n good clients.
func newTown(n int) (town, []visitor) {
	z := town{townDomain: {}, "127.in-addr.arpa": {}}
	// A mail host that could be one on the Internet. Nobody connects to it.
	fmt.Fprintf(z[townDomain], "@ MX 10 mx.%[1]s.\nmx A 8.8.8.8\nnull MX 0 .\nhuge TXT", townDomain)
	for range 20 { // more than goes into a datagram
		fmt.Fprintf(z[townDomain], " %q", strings.Repeat("x", 200))
	}
	z[townDomain].WriteByte('\n')
	for i := range 100 {
		fmt.Fprintf(z[townDomain], "many MX %d mx%d.%s.\nmx%d A 8.8.8.8\n", i, i, townDomain, i)
	}
	var good []visitor
	for i := range n {
		good = append(good, z.settle(i, fmt.Sprintf("house%c%c", 'a'+i/26, 'a'+i%26)))
	}
	return z, good
}

// settle lets a client live at 127.20.0.i.
func (z town) settle(i int, name string) visitor {
	v := visitor{from: fmt.Sprintf("127.20.0.%d", i), helo: name + "." + townDomain, sender: "a@" + townDomain}
	fmt.Fprintf(z[townDomain], "%s A %s\n", name, v.from)
	fmt.Fprintf(z["127.in-addr.arpa"], "%d.0.20 PTR %s.\n", i, v.helo)
	return v
}

// records is all of the town for filtertest.NewZone.
func (z town) records() string {
	var out strings.Builder
	for zone, text := range z {
		for line := range strings.Lines(text.String()) {
			name, rest, _ := strings.Cut(line, " ")
			if name == "@" {
				fmt.Fprintf(&out, "%s. %s", zone, rest)
			} else {
				fmt.Fprintf(&out, "%s.%s. %s", name, zone, rest)
			}
		}
	}
	return out.String()
}

func (z town) texts() map[string]string {
	out := map[string]string{}
	for zone, text := range z {
		out[zone] = text.String()
	}
	return out
}

// sessionLimit is how long a session may take whose filters wait for the DNS
// for a second at most: a good deal more, as the machine may be busy.
const sessionLimit = 5 * time.Second

// strictChain refuses whoever does not live in a town, or is on one of the
// lists, each of which is enough.
func strictChain(server string, lists ...string) string {
	zones := make([]string, len(lists))
	for i, list := range lists {
		zones[i] = fmt.Sprintf("{zone: %s, weight: 10}", list)
	}
	return fmt.Sprintf(`
dns: {servers: [%q], attempt_timeout: 400ms, timeout: 800ms}
chain:
  - dnsbl: {zones: [%s], threshold: 4, exempt: [], reply: "{client} is on {zone}"}
    action: enforce
    timeout: 1s
  - rdns: {exempt: []}
    action: enforce
    timeout: 1s
  - helo: {exempt: [], resolves: true, matches_client: true}
    action: enforce
    timeout: 1s
  - sender: {exempt: []}
    action: enforce
    timeout: 1s
`, server, strings.Join(zones, ", "))
}

// goodList is a list in order, that has the first house of the second street.
const goodList = "good.bl.test.example"

// A chain that believes real name servers, some of which are not to be
// believed, refuses whom it should and nobody else.
func TestRealNameServers(t *testing.T) {
	if testing.Short() {
		t.Skip("a list that was set aside comes back after a minute")
	}
	t.Parallel()
	homes, good := newTown(40)
	listed := homes.settle(200, "cellar")
	stranger := visitor{from: "127.20.0.201", helo: "shed." + townDomain, sender: good[0].sender}
	homes[townDomain].WriteString("shed A 127.20.0.201\n") // and no PTR record
	forger := good[0]
	forger.sender = "a@nowhere." + townDomain
	deaf := good[1]
	deaf.sender = "a@null." + townDomain

	lists := peer.RBLDNSD(t, map[string]string{
		goodList:                ":127.0.0.2:listed\n127.0.0.2\n" + listed.from + "\n",
		"error.bl.test.example": ":127.255.255.254:by way of a public resolver\n127/8\n",
		"world.bl.test.example": ":127.0.0.2:the world\n127/8\n",
	})
	mortal := peer.RBLDNSD(t, map[string]string{"mortal.bl.test.example": ":127.0.0.2:listed\n127.0.0.2\n" + listed.from + "\n"})
	authority := peer.NSD(t, homes.texts())
	liars := peer.Names(t, lies)
	stubs := map[string]string{
		goodList: lists.Addr, "error.bl.test.example": lists.Addr, "world.bl.test.example": lists.Addr,
		"mortal.bl.test.example": mortal.Addr,
		townDomain:               authority.Addr, "127.in-addr.arpa": authority.Addr,
	}
	for _, name := range lieNames {
		stubs[name+".bl.test.example"] = liars.Addr
	}
	resolver := peer.Unbound(t, stubs)
	bad := []string{"error.bl.test.example", "world.bl.test.example", "gone.bl.test.example"}
	for _, name := range lieNames {
		bad = append(bad, name+".bl.test.example")
	}

	g := openGate(t, peer.Sink(t).Addr, strictChain(resolver.Addr, append(bad, goodList, "mortal.bl.test.example")...))
	began := time.Now()
	for _, v := range good[:10] {
		g.welcome(t, v, sessionLimit)
	}
	g.turnAway(t, listed, sessionLimit, listed.from+" is on ")
	g.turnAway(t, stranger, sessionLimit, "has no name in the reverse DNS")
	g.turnAway(t, forger, sessionLimit, "does not exist")
	g.turnAway(t, deaf, sessionLimit, "takes no mail")
	many := good[11]
	many.sender = "a@many." + townDomain // whose MX records need TCP
	g.welcome(t, many, sessionLimit)

	for _, zone := range bad {
		g.saysOnce(t, zone)
	}

	// A list that dies is no reason to refuse anybody or to wait for long.
	mortal.Kill()
	for _, v := range good[12:30] {
		g.welcome(t, v, sessionLimit)
	}
	g.turnAway(t, listed, sessionLimit, listed.from+" is on "+goodList)
	g.saysOnce(t, "mortal.bl.test.example")
	if t.Failed() {
		return
	}
	mortal.Start(t)
	eventually(t, 2*time.Minute, "list that comes back", func() bool {
		return slices.ContainsFunc(g.records(t, "a DNSBL is back"), func(r map[string]any) bool {
			return r["zone"] == "mortal.bl.test.example"
		})
	})
	for _, v := range good[30:] {
		g.welcome(t, v, sessionLimit)
	}
	t.Logf("all of that took %v", time.Since(began))
}

// saysOnce fails the test unless the log says once that the list was set aside,
// and why.
func (g *gate) saysOnce(t *testing.T, zone string) {
	t.Helper()
	said := func() (list []map[string]any) {
		for _, r := range g.records(t, "a DNSBL is set aside; it is not asked until it passes its test") {
			if r["zone"] == zone {
				list = append(list, r)
			}
		}
		return list
	}
	eventually(t, 30*time.Second, "record that "+zone+" is set aside", func() bool { return len(said()) > 0 })
	if list := said(); len(list) != 1 || list[0]["cause"] == "" {
		t.Errorf("%s: said %d times: %v", zone, len(list), list)
	}
}

// lieNames are the first labels of lists whose servers do not tell the truth.
// The others are in order, and have nothing but their test entry.
var lieNames = []string{"slow", "silent", "truncated", "id", "question", "outside", "servfail", "refused", "garbage"}

// lies answers about lists as their first label says. Those that begin with
// sly- tell the truth when they are tested (RFC 5782 section 5).
func lies(ctx context.Context, over string, q *dns.Msg) *dns.Msg {
	name := strings.ToLower(q.Question[0].Name)
	list, _, _ := strings.Cut(strings.TrimSuffix(name, ".bl.test.example."), ".bl.")
	list = list[strings.LastIndexByte(list, '.')+1:]
	test := strings.HasPrefix(name, "1.0.0.127.") || strings.HasPrefix(name, "2.0.0.127.")
	if rest, sly := strings.CutPrefix(list, "sly-"); sly && !test {
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
		case <-time.After(3 * time.Second):
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

// A resolver that lies itself, about some names, is no better.
func TestResolverThatLies(t *testing.T) {
	t.Parallel()
	homes, good := newTown(20)
	listed := homes.settle(200, "cellar")
	truth := fromZone(filtertest.NewZone(t, homes.records()+
		"2.0.0.127."+goodList+". A 127.0.0.2\n"+
		"200.0.20.127."+goodList+". A 127.0.0.2\n"))
	resolver := peer.Names(t, func(ctx context.Context, over string, q *dns.Msg) *dns.Msg {
		name := strings.ToLower(q.Question[0].Name)
		if strings.HasSuffix(name, ".bl.test.example.") && !strings.HasSuffix(name, goodList+".") {
			return lies(ctx, over, q)
		}
		return truth(ctx, over, q)
	})
	var bad []string
	for _, name := range lieNames {
		bad = append(bad, name+".bl.test.example", "sly-"+name+".bl.test.example")
	}
	g := openGate(t, peer.Sink(t).Addr, strictChain(resolver.Addr, append(bad, goodList)...))
	for _, v := range good[:5] {
		g.welcome(t, v, sessionLimit)
	}
	g.turnAway(t, listed, sessionLimit, listed.from+" is on "+goodList)
	for _, zone := range bad {
		if zone != "sly-garbage.bl.test.example" { // of which only an answer is missing
			g.saysOnce(t, zone)
		}
	}

	// It dies: then nobody is refused by what is not known, and it comes back.
	resolver.Stop()
	for _, v := range good[5:10] {
		g.welcome(t, v, sessionLimit)
	}
	resolver.Start(t)
	for _, v := range good[10:] {
		g.welcome(t, v, sessionLimit)
	}
}

// A list that passes its tests and has every client is found out by that.
func TestListThatHasEverybody(t *testing.T) {
	t.Parallel()
	names := peer.Names(t, func(ctx context.Context, over string, q *dns.Msg) *dns.Msg {
		if name := strings.ToLower(q.Question[0].Name); strings.HasSuffix(name, ".bl.test.example.") && !strings.HasPrefix(name, "1.0.0.127.") {
			return peer.Reply(q, dns.RcodeSuccess, &dns.A{
				Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60},
				A:   []byte{127, 0, 0, 2},
			})
		}
		return peer.Reply(q, dns.RcodeNameError)
	})
	g := openGate(t, discard(t), fmt.Sprintf(`
dns: {servers: [%q]}
chain:
  - dnsbl: {zones: [{zone: all.bl.test.example, weight: 4}, {zone: none.test.example, self_test: false}], threshold: 4, exempt: []}
    action: enforce
`, names.Addr))
	clients := crowd(150)
	refused := 0
	for _, client := range clients {
		seen, err := visitor{from: client.String(), helo: "client.example", sender: "a@client.example"}.call(g.addr)
		if err != nil {
			t.Fatal(err)
		}
		if !seen.accepted() {
			refused++
		}
	}
	g.saysOnce(t, "all.bl.test.example")
	if refused == 0 || refused > 100 {
		t.Errorf("%d clients of %d are refused, want some and at most 100", refused, len(clients))
	}
}
