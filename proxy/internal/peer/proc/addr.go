package proc

import "net"

// FreeAddr returns a loopback address with a port that nobody listened at a
// moment ago. Another process may take it first: whoever starts a program
// there must be ready to try again.
func FreeAddr() (string, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
