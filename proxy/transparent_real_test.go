package proxy_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// In a network of its own Postfix sees the client's own address, in either family:
// as that of the connection, told by XCLIENT, and told by a PROXY header.
func testNetwork(t *testing.T, binary peer.Mailweir) {
	n := peer.NewNetwork(t)
	sink := n.Upstream.Sink(t)
	us := n.Inner4.String() + " [" + n.Inner6.String() + "]"
	postfix := peer.Postfix(t, peer.PostfixOptions{Relayhost: sink.Addr, Netns: n.Upstream, Services: []map[string]string{
		{"smtpd_authorized_xclient_hosts": us},
		peer.TakesPROXY(),
	}})
	xclient, proxy := postfix.Services[0], postfix.Services[1]
	both := fmt.Sprintf("servers: [{address: %q}, {address: %q}], health: {interval: 200ms}", postfix.Addr, postfix.Addr6)
	ways := []struct{ name, upstream, client string }{
		{"transparent", both + ", identity: transparent", "unknown"},
		{"XCLIENT", fmt.Sprintf("address: %q, identity: xclient", xclient), spike},
		{"XCLIENT over IPv6", fmt.Sprintf("address: %q, identity: xclient", netip.AddrPortFrom(n.Upstream.IPv6, netip.MustParseAddrPort(xclient).Port())), spike},
		{"PROXY 1", fmt.Sprintf("address: %q, identity: proxy, proxy_version: 1", proxy), "unknown"},
		{"PROXY 2", fmt.Sprintf("address: %q, identity: proxy", proxy), "unknown"},
		{"none", fmt.Sprintf("address: %q", postfix.Addr), ""},
	}
	listeners := []string{"upstream: {" + ways[0].upstream + "}, timeouts: {upstream: {connect: 1s}}"}
	for _, way := range ways {
		listeners = append(listeners, "upstream: {"+way.upstream+"}")
	}
	names := named(t, n.Proxy, n.Client.IPv4.String(), n.Client.IPv6.String())
	relay, doors := served(t, binary, peer.RelayOptions{Netns: n.Proxy, Names: names}, listeners...)
	for i, way := range ways {
		for _, client := range []netip.Addr{n.Client.IPv4, n.Client.IPv6} {
			t.Run(fmt.Sprintf("%s %s", way.name, client), func(t *testing.T) {
				door := netip.MustParseAddrPort(doors[1+i])
				if client.Is6() {
					door = netip.AddrPortFrom(n.Proxy.IPv6, door.Port())
				}
				to := fmt.Sprintf("to%d-%t@test.example", i, client.Is6())
				out, exit := n.Client.Swaks(t, door.String(), "--from", "from@test.example", "--to", to)
				if exit != 0 {
					t.Fatalf("swaks ended with status %d:\n%s", exit, out)
				}
				name, seen := way.client, client
				if name == "" {
					name, seen = "unknown", n.Inner4
				}
				sees(t, postfix, messageTo(t, sink, to), name, seen.String())
				logged, _ := accepted(t, relay, to)["client"].(string)
				if got := netip.MustParseAddrPort(logged).Addr(); got != client {
					t.Errorf("mailweir's log says client %s, want %s", got, client)
				}
			})
		}
	}
	inPeace(t, relay.Log())
	t.Run("no way back", func(t *testing.T) {
		n.Proxy.Run(t, "", "nft", "flush", "ruleset")
		c := n.Client.Dial(t, doors[0])
		c.Do("421 4.3.2 ", "EHLO client.test.example")
		peer.Logged(t, relay, `"msg":"upstream failed".*does it answer to the client's address by way of this machine`)
	})
	// Its own health checks come from its own address.
	peer.Logged(t, postfix, `disconnect from unknown\[`+n.Inner4.String()+`\] ehlo=1 quit=1`)
}
