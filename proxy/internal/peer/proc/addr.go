package proc

import "net"

// FreeAddr returns a loopback address with a port that nobody listened at a
// moment ago. Another process may take it first: whoever starts a program
// there must be ready to try again.
func FreeAddr() (string, error) { return freeAddr("tcp4", "127.0.0.1:0") }

// FreeAddr6 is FreeAddr in IPv6.
func FreeAddr6() (string, error) { return freeAddr("tcp6", "[::1]:0") }

func freeAddr(network, addr string) (string, error) {
	l, err := net.Listen(network, addr)
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
