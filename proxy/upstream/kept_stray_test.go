package upstream_test

import (
	"io"
	"net"
	"testing"

	"github.com/mailweir/mailweir/proxy/upstream"
)

// TestKeptSaysMore takes no connection on which the server has said something
// since, however ready it was when it was kept.
func TestKeptSaysMore(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conns := make(chan net.Conn, 2)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			io.WriteString(conn, "220 up.example\r\n")
			conns <- conn
		}
	}()
	w := newTown(t)
	w.fleet.Dial = (&net.Dialer{}).DialContext
	o := reusing()
	at := l.Addr().(*net.TCPAddr)
	o.Servers = []upstream.Server{{Host: at.IP.String(), Port: uint16(at.Port), Weight: 1}}
	g := w.group(o)
	c := w.enter(g)
	if err := c.Ready(); err != nil {
		t.Fatal(err)
	}
	if !c.Keep() {
		t.Fatal("not kept")
	}
	first := <-conns
	if _, err := io.WriteString(first, "421 4.3.2 Later\r\n"); err != nil {
		t.Fatal(err)
	}
	next := w.enter(g)
	defer next.Close()
	if next.Reused() {
		t.Error("a session got a connection with a reply that is not its own")
	}
}
