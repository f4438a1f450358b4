package door_test

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mailweir/mailweir/proxy/internal/door"
)

// queue connects clients to a listener that nobody accepts from yet, each of which
// has said that, and sifts then: those from ports in denied are refused. It returns
// the clients and who was served.
func queue(t *testing.T, network string, says []string, denied func(i int) bool) (clients, served []net.Conn) {
	t.Helper()
	l, err := net.Listen(network, map[string]string{"tcp4": "127.0.0.1:0", "tcp6": "[::1]:0"}[network])
	if err != nil && network == "tcp6" {
		t.Skipf("there is no IPv6 on loopback: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	foes := map[netip.AddrPort]bool{}
	for i, what := range says {
		conn, err := net.Dial(network, l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		conn.SetDeadline(time.Now().Add(time.Minute))
		io.WriteString(conn, what)
		foes[door.Addr(conn.LocalAddr())] = denied(i)
		clients = append(clients, conn)
	}
	var closed sync.WaitGroup
	defer closed.Wait()
	left := len(says)
	step := func() {
		if left--; left == 0 {
			closed.Go(func() { l.Close() }) // it waits for who looks at the socket
		}
	}
	door.Sift(l, slog.New(slog.NewTextHandler(&log, nil)), func(client netip.AddrPort) []byte {
		foe, known := foes[client]
		if !known {
			t.Errorf("who is %s?", client)
		}
		if !foe {
			return nil
		}
		step()
		return []byte("521 no\r\n")
	}, func(conn net.Conn) {
		t.Cleanup(func() { conn.Close() })
		served = append(served, conn)
		step()
	})
	if log.Len() > 0 {
		t.Errorf("log: %s", &log)
	}
	return clients, served
}

// All are refused or served, in their order, whatever stands before and behind
// them in the queue. Who is refused hears why, also if it has talked first.
func TestSift(t *testing.T) {
	for name, denied := range map[string]func(int) bool{
		"all":       func(int) bool { return true },
		"none":      func(int) bool { return false },
		"every 2nd": func(i int) bool { return i%2 == 1 },
		"all but 5": func(i int) bool { return i != 5 },
		"first 7":   func(i int) bool { return i < 7 },
	} {
		for _, network := range []string{"tcp4", "tcp6"} {
			for _, what := range []string{"", "EHLO spam.example\r\n"} {
				says := make([]string, 120)
				for i := range says {
					says[i] = what
				}
				clients, served := queue(t, network, says, denied)
				for i, c := range clients {
					if denied(i) {
						heard, err := io.ReadAll(c)
						if string(heard) != "521 no\r\n" || err != nil {
							t.Fatalf("%s: client %d hears %q, %v", name, i, heard, err)
						}
						if _, err := io.WriteString(c, "QUIT\r\n"); err != nil {
							t.Fatalf("%s: client %d finds its connection reset: %v", name, i, err)
						}
						continue
					}
					talk(t, c, served[0])
					served = served[1:]
				}
				if len(served) > 0 {
					t.Errorf("%s: %d more were served", name, len(served))
				}
			}
		}
	}
}

// talk passes something from one to the other, which must be its peer and wait as
// connections of package net do.
func talk(t *testing.T, client, server net.Conn) {
	t.Helper()
	if server.RemoteAddr().String() != client.LocalAddr().String() || server.LocalAddr().String() != client.RemoteAddr().String() {
		t.Fatalf("%s is served as %s", client.LocalAddr(), server.RemoteAddr())
	}
	server.SetReadDeadline(time.Now().Add(-time.Second))
	if _, err := server.Read(make([]byte, 1)); err == nil || !err.(net.Error).Timeout() {
		t.Fatalf("a read past its deadline: %v", err)
	}
	server.SetReadDeadline(time.Now().Add(time.Minute))
	io.WriteString(server, "220 x\r\n")
	heard := make([]byte, 7)
	if _, err := io.ReadFull(client, heard); err != nil || string(heard) != "220 x\r\n" {
		t.Fatalf("hears %q, %v", heard, err)
	}
}

// They are also refused or served when they come one after the other, and the
// listener can be closed meanwhile.
func TestSiftWaits(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served, over := make(chan net.Conn, 100), make(chan struct{})
	foe := netip.MustParseAddr("127.0.0.2")
	go func() {
		defer close(over)
		door.Sift(l, slog.New(slog.DiscardHandler), func(client netip.AddrPort) []byte {
			if client.Addr() == foe {
				return []byte("521 no\r\n")
			}
			return nil
		}, func(conn net.Conn) { served <- conn })
	}()
	dial := func(from netip.Addr) net.Conn {
		dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0)), Timeout: time.Minute}
		conn, err := dialer.Dial("tcp4", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		conn.SetDeadline(time.Now().Add(time.Minute))
		return conn
	}
	for range 20 {
		for range 20 {
			var refused [3]net.Conn // several wait at once now and then
			for i := range refused {
				refused[i] = dial(foe)
			}
			for _, conn := range refused {
				if heard, err := io.ReadAll(conn); string(heard) != "521 no\r\n" || err != nil {
					t.Fatalf("a client hears %q, %v", heard, err)
				}
			}
		}
		friend := dial(netip.MustParseAddr("127.0.0.1"))
		conn := <-served
		defer conn.Close()
		talk(t, friend, conn)
	}
	io.ReadAll(dial(foe))
	l.Close()
	select {
	case <-over:
	case <-time.After(time.Minute):
		t.Error("it does not end")
	}
}

// Who is served behind one that was refused has a connection without keep-alive.
func TestSiftKeepsNobodyAlive(t *testing.T) {
	_, served := queue(t, "tcp4", []string{"", ""}, func(i int) bool { return i == 0 })
	raw, err := served[0].(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) {
		if on, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_KEEPALIVE); on != 0 || err != nil {
			t.Errorf("keep-alive is %d, %v", on, err)
		}
		if on, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NODELAY); on != 1 || err != nil {
			t.Errorf("TCP_NODELAY is %d, %v", on, err)
		}
	})
}

// Words that find no taker do not hold anybody up.
func TestDismissWhoIsGone(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp4", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	client.(*net.TCPConn).SetLinger(0)
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	client.Close()
	door.Dismiss(conn, []byte("521 no\r\n"))
	if _, err := conn.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("it is not closed: %v", err)
	}
}
