package peer_test

import (
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// An upstream sees the address of whoever dials it: the client, through its
// router; and the proxy, as itself and in the client's name.
func TestNetwork(t *testing.T) {
	n := peer.NewNetwork(t)
	for _, test := range []struct {
		name                     string
		from                     *peer.Netns
		source, upstream, wanted netip.Addr
	}{
		{"client", n.Client, netip.Addr{}, n.Upstream.IPv4, n.Client.IPv4},
		{"client, IPv6", n.Client, netip.Addr{}, n.Upstream.IPv6, n.Client.IPv6},
		{"proxy", n.Proxy, netip.Addr{}, n.Upstream.IPv4, n.Inner4},
		{"proxy, IPv6", n.Proxy, netip.Addr{}, n.Upstream.IPv6, n.Inner6},
		{"proxy as client", n.Proxy, n.Client.IPv4, n.Upstream.IPv4, n.Client.IPv4},
		{"proxy as client, IPv6", n.Proxy, n.Client.IPv6, n.Upstream.IPv6, n.Client.IPv6},
	} {
		t.Run(test.name, func(t *testing.T) {
			l, err := n.Upstream.Listen("tcp", netip.AddrPortFrom(test.upstream, 0).String())
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			dialer := net.Dialer{Timeout: 10 * time.Second}
			if test.source.IsValid() {
				dialer.Control = transparent
				dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(test.source, 0))
			}
			sees, says := throughNetwork(t, test.from, dialer, l)
			if sees != test.wanted || says != "hello" {
				t.Errorf("the upstream sees %s and hears %q, want %s and hello", sees, says, test.wanted)
			}
		})
	}
}

// throughNetwork dials l, says hello, and returns what arrives and from whom.
func throughNetwork(t *testing.T, from *peer.Netns, dialer net.Dialer, l net.Listener) (netip.Addr, string) {
	t.Helper()
	err := from.Do(func() error {
		conn, err := dialer.Dial("tcp", l.Addr().String())
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = io.WriteString(conn, "hello")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	said, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return netip.MustParseAddrPort(conn.RemoteAddr().String()).Addr(), string(said)
}

// transparent allows a socket to bear any address.
func transparent(network, _ string, c syscall.RawConn) (err error) {
	level, option := unix.SOL_IP, unix.IP_TRANSPARENT
	if network == "tcp6" {
		level, option = unix.SOL_IPV6, unix.IPV6_TRANSPARENT
	}
	if refused := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), level, option, 1) }); refused != nil {
		return refused
	}
	return err
}

// Nothing of a network remains, and the test's own addresses are where they
// were.
func TestNetworkEnds(t *testing.T) {
	var left *peer.Netns
	t.Run("network", func(t *testing.T) { left = peer.NewNetwork(t).Client })
	if left == nil {
		t.Skip("there was no network")
	}
	if err := left.Do(func() error { return nil }); err == nil {
		t.Error("its namespace is still there")
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if _, err := net.Listen("tcp4", "203.0.113.2:0"); err == nil {
		t.Error("the test has the client's address")
	}
}
