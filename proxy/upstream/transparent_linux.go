package upstream

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
)

// ipv6Transparent is IPV6_TRANSPARENT of linux/in6.h.
const ipv6Transparent = 75

// dialFrom connects from an address that need not be one of this machine.
func dialFrom(ctx context.Context, from netip.Addr, network, address string) (net.Conn, error) {
	d := net.Dialer{
		KeepAlive: -1,
		LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0)),
		Control: func(network, _ string, raw syscall.RawConn) error {
			level, option := syscall.SOL_IP, syscall.IP_TRANSPARENT
			if strings.HasSuffix(network, "6") {
				level, option = syscall.SOL_IPV6, ipv6Transparent
			}
			var err error
			if e := raw.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), level, option, 1) }); e != nil {
				return e
			}
			if err != nil {
				return fmt.Errorf("%w: %w", errTransparent, err)
			}
			return nil
		},
	}
	return d.DialContext(ctx, network, address)
}
