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
}

// Listen opens the socket. The file of a Unix socket is replaced if nobody
// listens there any more, and removed when the listener is closed.
func (s Socket) Listen() (net.Listener, error) {
	family, address, _ := strings.Cut(s.Address, ":")
	network := map[string]string{"unix": "unix", "inet": "tcp4", "inet6": "tcp6"}[family]
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
	if err := removeStale(path); err != nil {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w: make the folder %s first", err, filepath.Dir(path))
	}
	if err != nil {
		return nil, err
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	file, err := s.admit(path)
	if err != nil {
		l.Close()
		os.Remove(path)
		return nil, err
	}
	return &unixListener{Listener: l, path: path, file: file}, nil
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
	net.Listener
	path string
	file os.FileInfo
}

func (l *unixListener) Close() error {
	if now, err := os.Lstat(l.path); err == nil && os.SameFile(now, l.file) {
		os.Remove(l.path)
	}
	return l.Listener.Close()
}
