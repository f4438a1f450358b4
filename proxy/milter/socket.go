package milter

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Socket is where MTAs connect.
type Socket struct {
	Address string      // unix:/path, inet:host:port or inet6:host:port
	Mode    os.FileMode // of a Unix socket; who may write to it may connect
	Group   string      // of a Unix socket, by name or number; "" leaves it
	Replace bool        // a Unix socket takes the place of one where somebody listens
}

// Network returns the network of an address, and the address in it.
func Network(address string) (network, at string) {
	family, at, _ := strings.Cut(address, ":")
	return map[string]string{"unix": "unix", "inet": "tcp4", "inet6": "tcp6"}[family], at
}

// Listen opens the socket. The file of a Unix socket is replaced if nobody
// listens there any more, and removed when the listener is closed.
func (s Socket) Listen() (net.Listener, error) {
	network, address := Network(s.Address)
	switch network {
	case "":
		return nil, fmt.Errorf("%q is no address: want unix:/path, inet:host:port or inet6:host:port", s.Address)
	case "unix":
		return s.listenUnix(address)
	}
	config := net.ListenConfig{KeepAlive: -1} // time-outs find dead peers
	return config.Listen(context.Background(), network, address)
}

func (s Socket) listenUnix(path string) (net.Listener, error) {
	if s.Replace {
		return s.replaceUnix(path)
	}
	if err := removeStale(path); err != nil {
		return nil, err
	}
	l, file, err := s.bind(path)
	if err != nil {
		return nil, err
	}
	return &unixListener{UnixListener: l, path: path, file: file}, nil
}

// bind makes the socket and its file.
func (s Socket) bind(path string) (*net.UnixListener, os.FileInfo, error) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil, fmt.Errorf("%w: make the folder %s first", err, filepath.Dir(path))
	}
	if err != nil {
		return nil, nil, err
	}
	l.SetUnlinkOnClose(false)
	file, err := s.admit(path)
	if err != nil {
		l.Close()
		os.Remove(path)
		return nil, nil, err
	}
	return l, file, nil
}

// admit lets group and mode connect.
func (s Socket) admit(path string) (os.FileInfo, error) {
	if s.Group != "" {
		id, err := groupID(s.Group)
		if err != nil {
			return nil, err
		}
		if err := os.Chown(path, -1, id); err != nil {
			return nil, err
		}
	}
	if err := os.Chmod(path, s.Mode.Perm()); err != nil {
		return nil, err
	}
	return os.Lstat(path)
}

func groupID(name string) (int, error) {
	if id, err := strconv.Atoi(name); err == nil {
		return id, nil
	}
	g, err := user.LookupGroup(name)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(g.Gid)
}

// removeStale removes the file of a socket at which nobody listens.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode()&os.ModeSocket == 0:
		return fmt.Errorf("%s exists and is no socket", path)
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		conn.Close()
		return fmt.Errorf("somebody listens at %s already", path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("whether somebody listens there cannot be told: %w", err)
	}
	return os.Remove(path)
}

// unixListener removes its file when it is closed, unless that is another one
// by then.
type unixListener struct {
	*net.UnixListener
	path string
	file os.FileInfo
}

// Addr returns where MTAs find it, whatever the file was called first.
func (l *unixListener) Addr() net.Addr { return &net.UnixAddr{Name: l.path, Net: "unix"} }

// Close closes the socket.
func (l *unixListener) Close() error {
	if now, err := os.Lstat(l.path); err == nil && os.SameFile(now, l.file) {
		os.Remove(l.path)
	}
	return l.UnixListener.Close()
}
