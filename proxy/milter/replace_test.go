package milter_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailweir/mailweir/proxy/milter"
)

// TestReplace has one socket after the other take the place of the one before,
// from which what has connected there can still be accepted.
func TestReplace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "milter.sock")
	open := func() net.Listener {
		t.Helper()
		l, err := milter.Socket{Address: "unix:" + path, Mode: 0o600, Replace: true}.Listen()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		if l.Addr().String() != path {
			t.Errorf("it is at %s", l.Addr())
		}
		if info, err := os.Lstat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("its file is %v, %v", info, err)
		}
		return l
	}
	connect := func() {
		t.Helper()
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
	accept := func(l net.Listener) {
		t.Helper()
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
	old := open()
	connect()
	for range 3 {
		next := open()
		connect()
		accept(old)
		if err := old.Close(); err != nil {
			t.Error(err)
		}
		connect()
		accept(next)
		connect() // one that is left for the next round
		accept(next)
		connect()
		old = next
	}
	old.Close()
	if left, _ := filepath.Glob(path + "*"); left != nil {
		t.Errorf("files are left: %q", left)
	}
}

// TestReplaceOther holds that nothing is replaced that is no socket.
func TestReplaceOther(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("dear"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := milter.Socket{Address: "unix:" + path, Replace: true}.Listen()
	if err == nil || !strings.Contains(err.Error(), "is no socket") {
		t.Error(err)
	}
	if data, _ := os.ReadFile(path); string(data) != "dear" {
		t.Errorf("the file has %q", data)
	}
	_, err = milter.Socket{Address: "unix:" + filepath.Join(t.TempDir(), "x", "y"), Replace: true}.Listen()
	if err == nil || !strings.Contains(err.Error(), "make the folder") {
		t.Error(err)
	}
}
