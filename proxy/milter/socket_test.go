package milter_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/milter"
)

func discard() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func (d *door) shutdown(patience time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return d.Shutdown(ctx)
}

func TestUnixSocket(t *testing.T) {
	file := filepath.Join(t.TempDir(), "s")
	d := open(t, says(filters.EOM, filters.Verdict{}), options(func(c *config) {
		c.socket = milter.Socket{Address: "unix:" + file, Mode: 0o620, Group: "0"}
	}))
	info, err := os.Lstat(file)
	if err != nil || info.Mode().Perm() != 0o620 {
		t.Errorf("%v, %v", info, err)
	}
	d.alive()
	if _, err := (milter.Socket{Address: "unix:" + file, Mode: 0o600}).Listen(); err == nil || !strings.Contains(err.Error(), "somebody listens") {
		t.Errorf("a second one: %v", err)
	}
	d.shutdown(time.Second)
	if _, err := os.Lstat(file); err == nil {
		t.Error("the file is left")
	}
}

func TestStaleSocket(t *testing.T) {
	file := filepath.Join(t.TempDir(), "s")
	old, err := net.Listen("unix", file)
	if err != nil {
		t.Fatal(err)
	}
	old.(*net.UnixListener).SetUnlinkOnClose(false)
	old.Close()
	s := milter.Socket{Address: "unix:" + file, Mode: 0o600}
	l, err := s.Listen()
	if err != nil {
		t.Fatal(err)
	}
	// Somebody else takes the place: the file is not ours any more.
	os.Remove(file)
	os.WriteFile(file, nil, 0o600)
	l.Close()
	if _, err := os.Lstat(file); err != nil {
		t.Error("another one's file was removed")
	}
	if _, err := s.Listen(); err == nil || !strings.Contains(err.Error(), "is no socket") {
		t.Errorf("in place of a file: %v", err)
	}
}

func TestSocketErrors(t *testing.T) {
	for _, s := range []milter.Socket{
		{Address: "127.0.0.1:0"},
		{Address: "unix:/nowhere/at/all"},
		{Address: "unix:" + filepath.Join(t.TempDir(), "s"), Group: "no such group"},
		{Address: "inet:[::1]:0"},
	} {
		if l, err := s.Listen(); err == nil {
			l.Close()
			t.Errorf("%+v is fine", s)
		}
	}
	if _, err := (milter.Socket{Address: "unix:/nowhere/at/all"}).Listen(); !strings.Contains(err.Error(), "make the folder /nowhere/at first") {
		t.Errorf("no folder: %v", err)
	}
	l, err := milter.Socket{Address: "inet6:[::1]:0"}.Listen()
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}
