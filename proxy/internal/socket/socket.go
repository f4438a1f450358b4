// Package socket opens the TCP sockets that clients connect to, takes over
// those that another process has opened, and lets one process follow another at
// the same address.
package socket

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"syscall"
)

// Options say how to open a socket.
type Options struct {
	// Shared lets another process of the same user listen at the address too, as
	// SO_REUSEPORT does. All of them must want it.
	Shared bool
	// Owner is the user whom the socket belongs to, if it is shared: root may
	// open it for the one that it is about to become. 0 is the user of the
	// process.
	Owner int
}

// Listen opens a socket; network is tcp, tcp4 or tcp6.
func Listen(network, address string, o Options) (net.Listener, error) {
	config := net.ListenConfig{KeepAlive: -1} // time-outs find dead clients sooner
	if o.Shared {
		config.SetMultipathTCP(false) // its sockets cannot be steered
		config.Control = func(_, _ string, raw syscall.RawConn) error {
			var err error
			if e := raw.Control(func(fd uintptr) { err = share(int(fd), o.Owner) }); e != nil {
				return e
			}
			return err
		}
	}
	l, err := config.Listen(context.Background(), network, address)
	if err == nil && o.Shared {
		unsteer(l)
	}
	return l, err
}

// Adopt makes a listener of a socket that another process has opened at that
// address, for that network: tcp, tcp4, tcp6 or unix. It closes the file, unless
// there is an error.
func Adopt(f *os.File, network, address string) (net.Listener, error) {
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("it is no socket that accepts connections: %w", err)
	}
	if err := check(f, l.Addr(), network, address); err != nil {
		l.Close()
		return nil, err
	}
	f.Close()
	at := l.Addr()
	if network == "unix" {
		at = &net.UnixAddr{Name: address, Net: network}
	}
	return adopted{l, at}, nil
}

func check(f *os.File, at net.Addr, network, address string) error {
	if !accepts(f) {
		return fmt.Errorf("it does not accept connections: set Accept=no in its unit")
	}
	if !Fits(at, network, address) {
		return fmt.Errorf("it is at %s, not at %s: change one or the other", at, address)
	}
	return nil
}

// Fits reports whether a socket at that place is one for the network and the
// address that are configured. Port 0 is any. The name of a Unix socket may end
// in a number of its own: Replace of package milter has then renamed its file.
func Fits(at net.Addr, network, address string) bool {
	switch at := at.(type) {
	case *net.UnixAddr:
		number, same := strings.CutPrefix(at.Name, address)
		return network == "unix" && same && renamed.MatchString(number)
	case *net.TCPAddr:
		if network == "unix" {
			return false
		}
		want, err := net.ResolveTCPAddr(network, address)
		return err == nil && (want.Port == 0 || want.Port == at.Port) && sameIP(at, want, network)
	}
	return false
}

var renamed = regexp.MustCompile(`^(\.[0-9]+)?$`)

// sameIP compares addresses. All that a machine has are one, of IPv6 or both
// families where both will do, of IPv4 where that is named.
func sameIP(at, want *net.TCPAddr, network string) bool {
	a, w := at.AddrPort().Addr().Unmap(), want.AddrPort().Addr().Unmap()
	if len(want.IP) == 0 {
		return a.IsUnspecified() && (network != "tcp4" || a.Is4()) && (network != "tcp6" || a.Is6())
	}
	if w == netip.IPv6Unspecified() && network == "tcp" {
		return a.IsUnspecified()
	}
	return a == w
}

// adopted is a listener whose connections are as those of Listen.
type adopted struct {
	net.Listener
	at net.Addr
}

// Addr returns where clients find it.
func (l adopted) Addr() net.Addr { return l.at }

// File returns the socket for yet another process.
func (l adopted) File() (*os.File, error) { return l.Listener.(filer).File() }

// filer is what listeners of TCP and of Unix sockets are.
type filer interface{ File() (*os.File, error) }

// Accept waits for the next connection.
func (l adopted) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetKeepAlive(false)
	}
	return conn, err
}

// SyscallConn returns the socket itself.
func (l adopted) SyscallConn() (syscall.RawConn, error) {
	raw, ok := l.Listener.(syscall.Conn)
	if !ok {
		return nil, syscall.EOPNOTSUPP
	}
	return raw.SyscallConn()
}

// control calls do with the descriptor of a listener, and reports whether it
// could.
func control(l net.Listener, do func(fd int)) bool {
	c, ok := l.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := c.SyscallConn()
	return err == nil && raw.Control(func(fd uintptr) { do(int(fd)) }) == nil
}
