package door_test

import (
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/mailweir/mailweir/proxy/internal/door"
)

// troubled is a listener that is out of descriptors now and then.
type troubled struct {
	net.Listener
	answers []error
}

func (l *troubled) Accept() (net.Conn, error) {
	err := l.answers[0]
	l.answers = l.answers[1:]
	if err != nil {
		return nil, err
	}
	conn, _ := net.Pipe()
	return conn, nil
}

func TestAcceptGoesOn(t *testing.T) {
	var log strings.Builder
	l := &troubled{answers: []error{nil, errors.New("too many open files"), nil, net.ErrClosed}}
	served := 0
	door.Accept(l, slog.New(slog.NewTextHandler(&log, nil)), func(c net.Conn) {
		c.Close()
		served++
	})
	if served != 2 {
		t.Errorf("served %d connections, want 2", served)
	}
	if !strings.Contains(log.String(), "too many open files") {
		t.Errorf("log: %s", log.String())
	}
}

func TestNewID(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		id := door.NewID()
		if len(id) != 12 || strings.Trim(id, "0123456789abcdefghjkmnpqrstvwxyz") != "" || seen[id] {
			t.Fatalf("id %q", id)
		}
		seen[id] = true
	}
}
