package relay_test

import (
	"io"
	"net"
	"runtime"
	"testing"

	"github.com/mailweir/mailweir/proxy/relay"
)

// Sessions that wait for the client are cheap, before and after the upstream
// is greeted. Both ends of their connections are counted in.
func TestIdleSessions(t *testing.T) {
	const n = 1000
	up, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, func(o *relay.Options) { o.Upstream = behind(newFleet(), up.Addr().String(), n) })
	clients, servers := make([]net.Conn, n), make([]net.Conn, 0, n)
	buf := make([]byte, 1024)
	read := func(c net.Conn) {
		if _, err := c.Read(buf); err != nil {
			t.Fatal(err)
		}
	}
	before := footprint()
	for i := range clients {
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		clients[i] = c
		read(c)
	}
	fresh := footprint()
	for _, c := range clients {
		io.WriteString(c, hello)
		s, err := up.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		servers = append(servers, s)
		io.WriteString(s, "220 up.example\r\n")
		read(s)
		io.WriteString(s, "250-up.example\r\n250-PIPELINING\r\n250-SIZE 1000000\r\n250-8BITMIME\r\n250 DSN\r\n")
		read(c)
	}
	greeted := footprint()
	runtime.KeepAlive(servers)
	t.Logf("connected %d octets, greeted %d octets", int(fresh-before)/n, int(greeted-before)/n)
	const most = 20 << 10 // the race detector takes its share
	if int(greeted-before)/n > most {
		t.Errorf("an idle session takes %d octets", int(greeted-before)/n)
	}
	up.Close()
}

func footprint() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}
