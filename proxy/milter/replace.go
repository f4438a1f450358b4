package milter

import (
	"fmt"
	"net"
	"os"
)

// replaceUnix opens a Unix socket and then puts its file where another one may
// be. MTAs come here from then on; those that had connected to the other one are
// still there.
func (s Socket) replaceUnix(path string) (net.Listener, error) {
	if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSocket == 0 {
		return nil, fmt.Errorf("%s exists and is no socket", path)
	}
	aside := fmt.Sprintf("%s.%d", path, os.Getpid())
	if err := removeStale(aside); err != nil {
		return nil, err
	}
	l, file, err := s.bind(aside)
	if err != nil {
		return nil, err
	}
	if err := os.Rename(aside, path); err != nil {
		l.Close()
		os.Remove(aside)
		return nil, err
	}
	return &unixListener{UnixListener: l, path: path, file: file}, nil
}
