package peer

import (
	"errors"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A Network is three hosts in a row, each a network namespace:
//
//	client                            proxy                             upstream
//	203.0.113.2  ------  203.0.113.1        198.51.100.1  ------  198.51.100.2
//	2001:db8:1::2  --  2001:db8:1::1        2001:db8:2::1  --  2001:db8:2::2
//
// The proxy is the router of the other two, and takes to itself what comes for
// those of its sockets that bear an address of another host: a transparent
// proxy's. Proxy.IPv4 and Proxy.IPv6 are on the client's side.
type Network struct {
	Client, Proxy, Upstream *Netns

	// Where the proxy is on the upstream's side.
	Inner4, Inner6 netip.Addr
}

// networkScript is what ip and others do to make a Network, a line each; the
// first word tells where. Nobody else can have their addresses, which nobody
// needs to look for (DAD) for two seconds.
const networkScript = `
client sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
proxy sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
upstream sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
proxy ip link add inner type veth peer name net netns UPSTREAM
proxy ip link add outer type veth peer name net netns CLIENT
client ip address add 203.0.113.2/24 dev net
client ip address add 2001:db8:1::2/64 dev net
proxy ip address add 203.0.113.1/24 dev outer
proxy ip address add 2001:db8:1::1/64 dev outer
proxy ip address add 198.51.100.1/24 dev inner
proxy ip address add 2001:db8:2::1/64 dev inner
upstream ip address add 198.51.100.2/24 dev net
upstream ip address add 2001:db8:2::2/64 dev net
client ip link set net up
proxy ip link set outer up
proxy ip link set inner up
upstream ip link set net up
client ip route add default via 203.0.113.1
client ip -6 route add default via 2001:db8:1::1
upstream ip route add default via 198.51.100.1
upstream ip -6 route add default via 2001:db8:2::1
proxy sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
proxy ip rule add fwmark 1 lookup 100
proxy ip -6 rule add fwmark 1 lookup 100
proxy ip route add local 0.0.0.0/0 dev lo table 100
proxy ip -6 route add local ::/0 dev lo table 100
`

// transparentRules mark what comes for a transparent socket; it is then routed to
// the host itself.
const transparentRules = `table inet transparent {
	chain prerouting {
		type filter hook prerouting priority mangle
		meta l4proto tcp socket transparent 1 meta mark set 1 accept
	}
}
`

// NewNetwork makes a Network that ends with the test. Where network namespaces
// are not allowed it skips the test, even with CI=true.
func NewNetwork(t testing.TB) *Network {
	t.Helper()
	needRoot(t, "A network of namespaces")
	Need(t, "ip", "iproute2")
	Need(t, "nft", "nftables")
	Need(t, "sysctl", "procps")
	sweep(t)
	n := &Network{Client: newNetns(t), Proxy: newNetns(t), Upstream: newNetns(t)}
	hosts := map[string]*Netns{"client": n.Client, "proxy": n.Proxy, "upstream": n.Upstream}
	names := strings.NewReplacer("CLIENT", n.Client.name, "UPSTREAM", n.Upstream.name)
	for line := range strings.Lines(strings.TrimSpace(networkScript)) {
		words := strings.Fields(names.Replace(line))
		hosts[words[0]].Run(t, "", words[1], words[2:]...)
	}
	n.Proxy.Run(t, transparentRules, "nft", "-f", "-")
	n.Client.IPv4, n.Client.IPv6 = netip.MustParseAddr("203.0.113.2"), netip.MustParseAddr("2001:db8:1::2")
	n.Proxy.IPv4, n.Proxy.IPv6 = netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("2001:db8:1::1")
	n.Inner4, n.Inner6 = netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("2001:db8:2::1")
	n.Upstream.IPv4, n.Upstream.IPv6 = netip.MustParseAddr("198.51.100.2"), netip.MustParseAddr("2001:db8:2::2")
	n.await(t)
	return n
}

// await waits until the client reaches the upstream: the first octets over a new
// link may be lost.
func (n *Network) await(t testing.TB) {
	t.Helper()
	for _, ip := range []netip.Addr{n.Upstream.IPv4, n.Upstream.IPv6} {
		nobody := netip.AddrPortFrom(ip, 9).String()
		for deadline := time.Now().Add(20 * time.Second); ; {
			_, err := n.Client.dial("tcp", nobody, 20*time.Millisecond)
			if errors.Is(err, syscall.ECONNREFUSED) {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("the client does not reach its upstream: %v", err)
			}
		}
	}
}
