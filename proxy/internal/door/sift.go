package door

import (
	"log/slog"
	"net"
	"net/netip"
)

// Sift is Accept for a listener some of whose clients are refused by their address:
// those for whom refuse has words. They hear these and are gone, at the least
// cost. refuse must not wait; for those whom it has no words for it must not have
// done anything.
func Sift(l net.Listener, log *slog.Logger, refuse func(client netip.AddrPort) (words []byte), serve func(net.Conn)) {
	Accept(l, log, func(conn net.Conn) {
		words := refuse(Addr(conn.RemoteAddr()))
		if words == nil {
			serve(conn)
			return
		}
		Dismiss(conn, words)
		// Who is refused seldom comes alone.
		if conn := skim(l, log, refuse); conn != nil {
			serve(conn)
		}
	})
}

// Addr returns an address of TCP, the zero value for any other. IPv4 in IPv6 is
// IPv4.
func Addr(a net.Addr) netip.AddrPort {
	if tcp, ok := a.(*net.TCPAddr); ok {
		ap := tcp.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}
