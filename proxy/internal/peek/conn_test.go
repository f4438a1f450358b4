//go:build unix

package peek_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mailweir/mailweir/proxy/internal/peek"
)

// pair returns both ends of a connection.
func pair(t *testing.T, network string) (*peek.Conn, net.Conn) {
	t.Helper()
	addr := "127.0.0.1:0"
	if network == "unix" {
		addr = filepath.Join(t.TempDir(), "s")
	}
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	there, err := net.Dial(network, l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	here, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { here.Close(); there.Close() })
	return peek.New(here), there
}

// onBoth runs a test with each kind of socket.
func onBoth(t *testing.T, test func(t *testing.T, c *peek.Conn, other net.Conn)) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			c, other := pair(t, network)
			test(t, c, other)
		})
	}
}

func wantRead(t *testing.T, c io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Fatalf("read %q, %v, want %q", got, err, want)
	}
}

// wantLate waits for a read to end at its deadline.
func wantLate(t *testing.T, c net.Conn) {
	t.Helper()
	if n, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("read %d octets, %v, want the deadline to end it", n, err)
	}
}

// A read ends at the deadline that was set last, though the timer was set for
// another.
func TestReadDeadline(t *testing.T) {
	onBoth(t, func(t *testing.T, c *peek.Conn, other net.Conn) {
		c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		end := time.Now().Add(200 * time.Millisecond)
		c.SetReadDeadline(end)
		wantLate(t, c)
		if early := time.Until(end); early > 0 {
			t.Errorf("it ended %v before its deadline", early)
		}
		wantLate(t, c) // and so does the next
		c.SetReadDeadline(time.Time{})
		time.AfterFunc(20*time.Millisecond, func() { other.Write([]byte("later")) })
		wantRead(t, c, "later")
		c.SetReadDeadline(time.Now().Add(time.Hour))
		c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		wantLate(t, c)
	})
}

// A deadline in the past ends a read that waits.
func TestReadIsWokenUp(t *testing.T) {
	onBoth(t, func(t *testing.T, c *peek.Conn, _ net.Conn) {
		c.SetReadDeadline(time.Now().Add(time.Hour))
		time.AfterFunc(20*time.Millisecond, func() { c.SetReadDeadline(time.Unix(1, 0)) })
		wantLate(t, c)
	})
}

// A write to somebody who does not read ends at its time-out, and a shorter one
// that is set meanwhile counts.
func TestWriteTimeout(t *testing.T) {
	onBoth(t, func(t *testing.T, c *peek.Conn, _ net.Conn) {
		for _, d := range []time.Duration{30 * time.Millisecond, time.Hour} {
			c.SetWriteTimeout(d)
			if d == time.Hour {
				time.AfterFunc(30*time.Millisecond, func() { c.SetWriteTimeout(time.Millisecond) })
			}
			n, err := c.Write(make([]byte, 64<<20))
			if !errors.Is(err, os.ErrDeadlineExceeded) || n == 64<<20 {
				t.Fatalf("wrote %d octets, %v, want the time-out to end it", n, err)
			}
		}
	})
}

// What the system does not take at once arrives whole too.
func TestLargeWrite(t *testing.T) {
	onBoth(t, func(t *testing.T, c *peek.Conn, other net.Conn) {
		want := bytes.Repeat([]byte("0123456789abcdef"), 1<<19)
		c.SetWriteTimeout(time.Minute)
		heard := make(chan []byte)
		go func() {
			got, _ := io.ReadAll(other)
			heard <- got
		}()
		if n, err := c.Write(want); n != len(want) || err != nil {
			t.Fatalf("wrote %d of %d octets, %v", n, len(want), err)
		}
		c.CloseWrite()
		if !bytes.Equal(<-heard, want) {
			t.Error("something else has arrived")
		}
	})
}

func TestLook(t *testing.T) {
	onBoth(t, func(t *testing.T, c *peek.Conn, other net.Conn) {
		if something, closed := c.Look(); something || closed {
			t.Errorf("of nothing a look sees %v, %v", something, closed)
		}
		other.Write([]byte("hello"))
		wait(t, func() bool { something, _ := c.Look(); return something })
		if got := string(c.Seen()); got != "hello" {
			t.Errorf("it shows %q", got)
		}
		wantRead(t, c, "hello")
		other.Close()
		wait(t, func() bool { _, closed := c.Look(); return closed })
	})
}

// wait waits until what is about to happen has done so.
func wait(t *testing.T, happened func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !happened(); {
		if time.Now().After(end) {
			t.Fatal("it does not come to that")
		}
	}
}
