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

// sessionLimit is how long a session may take whose filters wait for the DNS for
// entryTimeout at most: a good deal more, as the machine may be busy.
const (
	entryTimeout = 3 * time.Second
	sessionLimit = 5 * entryTimeout
)

// strictChain refuses whoever does not live in a town, or is on one of the
// lists, each of which is enough.
func strictChain(server string, lists ...string) string {
	zones := make([]string, len(lists))
	for i, list := range lists {
		zones[i] = fmt.Sprintf("{zone: %s, weight: 10}", list)
	}
	return fmt.Sprintf(`
dns: {servers: [%[1]q], attempt_timeout: 1200ms, timeout: 2400ms}
chain:
  - dnsbl: {zones: [%[2]s], threshold: 4, exempt: [], reply: "{client} is on {zone}: {text}"}
    action: enforce
    timeout: %[3]v
  - rdns: {exempt: []}
    action: enforce
    timeout: %[3]v
  - helo: {exempt: [], resolves: true, matches_client: true}
    action: enforce
    timeout: %[3]v
  - sender: {exempt: []}
    action: enforce
    timeout: %[3]v
`, server, strings.Join(zones, ", "), entryTimeout)
}

// goodList is a list in order.
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
	talked := homes.settle(202, "attic")
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
	zones := homes.texts()
	// A list whose reasons need TCP.
	zones["long.bl.test.example"] = "2.0.0.127 A 127.0.0.2\n202.0.20.127 A 127.0.0.2\n" +
		"202.0.20.127 TXT" + strings.Repeat(" \"because "+strings.Repeat("x", 200)+"\"", 10) + "\n"
	authority := peer.NSD(t, zones)
	liars := peer.Names(t, lies)
	stubs := map[string]string{
		goodList:                 lists.Addr,
		"error.bl.test.example":  lists.Addr,
		"world.bl.test.example":  lists.Addr,
		"mortal.bl.test.example": mortal.Addr,
		"long.bl.test.example":   authority.Addr,
		townDomain:               authority.Addr,
		"127.in-addr.arpa":       authority.Addr,
	}
	for _, name := range lieNames {
		stubs[name+".bl.test.example"] = liars.Addr
	}
	resolver := peer.Unbound(t, stubs)
	bad := []string{"error.bl.test.example", "world.bl.test.example", "gone.bl.test.example"}
	for _, name := range lieNames {
		bad = append(bad, name+".bl.test.example")
	}

	g := openGate(t, peer.Sink(t).Addr, strictChain(resolver.Addr, append(bad, goodList, "long.bl.test.example", "mortal.bl.test.example")...))
	for _, v := range good[:10] {
		g.welcome(t, v, sessionLimit)
	}
	g.turnAway(t, listed, sessionLimit, listed.from+" is on ")
	g.turnAway(t, talked, sessionLimit, talked.from+" is on long.bl.test.example: because xxx")
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
	names := peer.Names(t, func(_ context.Context, _ string, q *dns.Msg) *dns.Msg {
		name := strings.ToLower(q.Question[0].Name)
		if strings.HasSuffix(name, ".100.127.all.bl.test.example.") || name == "2.0.0.127.all.bl.test.example." {
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
