package peer_test

import (
	"strings"
	"testing"
	"time"

	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// Mailweir takes mail at each of its listeners.
func TestRelayWith(t *testing.T) {
	sink := peer.Sink(t)
	relay := peer.BuildMailweir(t).RelayWith(t, peer.RelayOptions{
		Listener: `{upstream: {address: "` + sink.Addr + `"}}`,
		More:     []string{`{upstream: {address: "` + sink.Addr + `"}, hostname: other.test.example}`},
		Top:      "sessions: {max: 7}\n",
		Chain:    "[size: {max: 1MiB}]",
	})
	for addr, name := range map[string]string{relay.Addr: "relay.test.example", relay.More[0]: "other.test.example"} {
		c := peer.DialFrom(t, "", addr)
		c.Expect("220 " + name)
		if hello := c.Hello(); !strings.Contains(hello, "SIZE 1048576\r\n") {
			t.Errorf("the chain is not asked:\n%s", hello)
		}
		c.Quit()
	}
	peer.Logged(t, relay, `"msg":"listening","listener":"more1"`)
}

// Mailweir runs between its client and its upstream, each with addresses of its
// own.
func TestRelayInNetwork(t *testing.T) {
	n := peer.NewNetwork(t)
	sink := n.Upstream.Sink(t)
	postfix := peer.Postfix(t, peer.PostfixOptions{Relayhost: sink.Addr, Netns: n.Upstream})
	relay := peer.BuildMailweir(t).RelayWith(t, peer.RelayOptions{
		Listener: `{upstream: {address: "` + postfix.Addr + `"}}`, Netns: n.Proxy,
	})
	for i, addr := range []string{relay.Addr, relay.Addr6} {
		if out, exit := n.Client.Swaks(t, addr, oneMessage...); exit != 0 {
			t.Fatalf("swaks: status %d\n%s", exit, out)
		}
		received := sink.Wait(t, i+1, time.Minute)[i].Received()
		if !strings.Contains(received, "(unknown ["+n.Inner4.String()+"]) by mx.test.example ") {
			t.Errorf("Received: %s", received)
		}
	}
	peer.Logged(t, relay, `"203\.0\.113\.2(:\d+)?"`)
	peer.Logged(t, relay, `"\[?2001:db8:1::2(\]:\d+)?"`)
}
