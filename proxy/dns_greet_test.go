package proxy_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// A clean client that nobody knows waits for the greeting, and its mail is
// delivered in that same session. Nobody makes it come again, and when it does
// it does not wait.
func TestNewClientIsDeliveredAtOnce(t *testing.T) {
	const wait = 300 * time.Millisecond
	sink := peer.Sink(t)
	postfix := peer.Postfix(t, peer.PostfixOptions{Relayhost: sink.Addr})
	c := &census{asked: map[string]int{}}
	names := peer.Names(t, c.answer)
	g := openGate(t, postfix.Addr, patientDNS(names.Addr, 50000)+eightZones()+
		fmt.Sprintf("  - pregreet: {wait: %v, exempt: []}\n    action: enforce\n", wait))
	client := visitor{from: "127.9.9.9", helo: "client.test.example", sender: "a@client.test.example", to: "first@test.example"}
	first, err := client.call(g.addr)
	if err != nil || !first.accepted() {
		t.Fatalf("%q, %v", first.reply, err)
	}
	if first.greeted < wait {
		t.Errorf("a new client is greeted after %v, want %v or more", first.greeted, wait)
	}
	m := sink.Wait(t, 1, time.Minute)[0]
	if m.To != client.to || !strings.Contains(string(m.Data), "from 127.9.9.9") {
		t.Errorf("delivered: %s\n%s", m.To, m.Data)
	}
	asked := c.total()

	// The machine may be busy for a moment, but not each time.
	const times = 5
	client.to = "again@test.example"
	soonest := time.Hour
	for range times {
		again, err := client.call(g.addr)
		if err != nil || !again.accepted() {
			t.Fatalf("%q, %v", again.reply, err)
		}
		soonest = min(soonest, again.greeted)
	}
	if soonest >= wait {
		t.Errorf("a known client is greeted after %v or more", soonest)
	}
	if now := c.total(); now != asked {
		t.Errorf("%d more questions about a known client", now-asked)
	}
	for _, m := range sink.Wait(t, 1+times, time.Minute)[1:] {
		if m.To != client.to {
			t.Errorf("delivered: %s", m.To)
		}
	}
}
