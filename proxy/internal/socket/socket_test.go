package socket

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func listen(t *testing.T, address string, o Options) net.Listener {
	t.Helper()
	l, err := Listen("tcp", address, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// fileOf returns the socket as another process would have it.
func fileOf(t *testing.T, l interface{ File() (*os.File, error) }) *os.File {
	t.Helper()
	f, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// TestShared holds that two may listen at one address if both want it.
func TestShared(t *testing.T) {
	first := listen(t, "127.0.0.1:0", Options{Shared: true})
	at := first.Addr().String()
	if l, err := Listen("tcp", at, Options{}); err == nil {
		l.Close()
		t.Error("one that does not share may listen too")
	}
	listen(t, at, Options{Shared: true})
	if os.Geteuid() != 0 {
		t.Skip("that root opens sockets for others takes root")
	}
	if l, err := Listen("tcp", at, Options{Shared: true, Owner: 65534}); err == nil {
		l.Close()
		t.Error("one of another user may listen too")
	}
	owned := listen(t, "127.0.0.1:0", Options{Shared: true, Owner: 65534})
	listen(t, owned.Addr().String(), Options{Shared: true, Owner: 65534})
}

// count accepts connections of l until it is closed.
func count(l net.Listener) (stop func() int) {
	n := 0
	var wait sync.WaitGroup
	wait.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			n++
			conn.Close()
		}
	})
	return func() int {
		l.Close()
		wait.Wait()
		return n
	}
}

// TestYield holds that all connections go to the one that has come last, while
// one before it leaves, and that a further one gets its share.
func TestYield(t *testing.T) {
	first := listen(t, "127.0.0.1:0", Options{Shared: true})
	at := first.Addr().String()
	connect := func() {
		t.Helper()
		for range 200 {
			conn, err := net.DialTimeout("tcp", at, 10*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			conn.SetReadDeadline(time.Now().Add(10 * time.Second))
			conn.Read(make([]byte, 1)) // until it was accepted
			conn.Close()
		}
	}
	for range 3 {
		second := listen(t, at, Options{Shared: true})
		if !Yield(first) {
			t.Fatal("it does not yield")
		}
		ofFirst, ofSecond := count(first), count(second)
		connect()
		if n := ofFirst(); n != 0 {
			t.Errorf("%d connections have come to the one that leaves", n)
		}
		third := listen(t, at, Options{Shared: true})
		ofThird := count(third)
		connect()
		if got, more := ofSecond(), ofThird(); got <= 200 || more == 0 || got+more != 400 {
			t.Errorf("%d connections have come to the second, %d to the third, of 400", got, more)
		}
		first = listen(t, at, Options{Shared: true})
	}
	if Yield(listen(t, "127.0.0.1:0", Options{})) {
		t.Error("a socket that is not shared yields")
	}
}

// TestYieldAlone holds that nothing is lost where nobody follows.
func TestYieldAlone(t *testing.T) {
	l := listen(t, "127.0.0.1:0", Options{Shared: true})
	Yield(l)
	stop := count(l)
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	conn.Read(make([]byte, 1)) // until it was accepted
	conn.Close()
	if n := stop(); n != 1 {
		t.Errorf("%d connections were accepted, want 1", n)
	}
}

func TestAdopt(t *testing.T) {
	l := listen(t, "127.0.0.1:0", Options{}).(*net.TCPListener)
	taken, err := Adopt(fileOf(t, l), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	go func() {
		if conn, err := net.Dial("tcp", taken.Addr().String()); err == nil {
			conn.Close()
		}
	}()
	conn, err := taken.Accept()
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if err := taken.Close(); err != nil {
		t.Error(err)
	}
}

func TestAdoptWrong(t *testing.T) {
	l := listen(t, "127.0.0.1:0", Options{}).(*net.TCPListener)
	dir := t.TempDir()
	file, err := os.Create(filepath.Join(dir, "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	syscall.Close(pair[1])
	connected := os.NewFile(uintptr(pair[0]), "pair")
	defer connected.Close()
	for _, test := range []struct {
		name             string
		file             *os.File
		network, address string
		want             string
	}{
		{"port", fileOf(t, l), "tcp", "127.0.0.1:1", "not at 127.0.0.1:1"},
		{"address", fileOf(t, l), "tcp", ":0", "not at :0"},
		{"family", fileOf(t, l), "unix", "/x", "not at /x"},
		{"file", file, "tcp", ":0", "it is no socket that accepts connections"},
		{"connected", connected, "unix", "/x", "Accept=no"},
	} {
		if l, err := Adopt(test.file, test.network, test.address); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, %v", test.name, l, err)
		}
	}
}

func TestFits(t *testing.T) {
	tcp := func(s string) net.Addr {
		a, err := net.ResolveTCPAddr("tcp", s)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	for _, test := range []struct {
		at               net.Addr
		network, address string
		want             bool
	}{
		{tcp("[::]:25"), "tcp", ":25", true},
		{tcp("0.0.0.0:25"), "tcp", ":25", true},
		{tcp("[::]:25"), "tcp", "[::]:25", true},
		{tcp("[::]:25"), "tcp", "0.0.0.0:25", false},
		{tcp("0.0.0.0:25"), "tcp", "0.0.0.0:25", true},
		{tcp("[::]:25"), "tcp4", ":25", false},
		{tcp("0.0.0.0:25"), "tcp6", ":25", false},
		{tcp("[::]:25"), "tcp", ":26", false},
		{tcp("[::]:2525"), "tcp", ":0", true},
		{tcp("127.0.0.1:25"), "tcp", ":25", false},
		{tcp("127.0.0.1:25"), "tcp", "127.0.0.1:25", true},
		{tcp("127.0.0.1:25"), "tcp", "127.0.0.1:smtp", true},
		{tcp("127.0.0.1:25"), "tcp", "127.0.0.2:25", false},
		{tcp("[2001:db8::1]:25"), "tcp", "[2001:db8::1]:25", true},
		{tcp("[::ffff:192.0.2.1]:25"), "tcp", "192.0.2.1:25", true},
		{tcp("127.0.0.1:25"), "unix", "/run/x", false},
		{&net.UnixAddr{Name: "/run/x", Net: "unix"}, "unix", "/run/x", true},
		{&net.UnixAddr{Name: "/run/x", Net: "unix"}, "unix", "/run/y", false},
		{&net.UnixAddr{Name: "/run/x.4711", Net: "unix"}, "unix", "/run/x", true},
		{&net.UnixAddr{Name: "/run/x.47x", Net: "unix"}, "unix", "/run/x", false},
		{&net.UnixAddr{Name: "/run/x", Net: "unix"}, "tcp", ":25", false},
		{&net.UDPAddr{Port: 25}, "tcp", ":25", false},
	} {
		if got := Fits(test.at, test.network, test.address); got != test.want {
			t.Errorf("%s for %s %s: %t", test.at, test.network, test.address, got)
		}
	}
}
