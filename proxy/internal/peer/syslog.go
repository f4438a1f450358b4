package peer

import (
	"bytes"
	"net"
	"sync"
	"testing"
)

// A syslog keeps what a program sends to its /dev/log.
type syslog struct {
	conn *net.UnixConn

	mu    sync.Mutex
	lines bytes.Buffer
}

func newSyslog(t testing.TB, path string) *syslog {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	s := &syslog{conn: conn}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.read()
	}()
	t.Cleanup(func() {
		conn.Close()
		<-ended
	})
	return s
}

// read keeps each record as a line, without its priority and time.
func (s *syslog) read() {
	record := make([]byte, 64<<10)
	for {
		n, err := s.conn.Read(record)
		if err != nil {
			return
		}
		line := bytes.TrimRight(record[:n], "\n\x00")
		if _, text, found := bytes.Cut(line, []byte("]: ")); found {
			line = text
		}
		s.keep(line)
	}
}

func (s *syslog) keep(line []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines.Write(line)
	s.lines.WriteByte('\n')
}

func (s *syslog) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lines.String()
}
