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
	const n, most = 1000, 10<<10 + raceShare
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
	before := takeFootprint()
	for i := range clients {
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		clients[i] = c
		read(c)
	}
	fresh := takeFootprint()
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
	greeted := takeFootprint()
	runtime.KeepAlive(servers)
	live := (greeted.live() - before.live()) / n
	t.Logf("connected %d octets, greeted %d octets, %d with the room between objects",
		(fresh.live()-before.live())/n, live, (int(greeted.HeapInuse+greeted.StackInuse)-int(before.HeapInuse+before.StackInuse))/n)
	if live > most {
		t.Errorf("an idle session keeps %d octets", live)
	}
	up.Close()
}

// footprint is what memory is in use when all garbage is gone.
type footprint struct{ runtime.MemStats }

func takeFootprint() *footprint {
	f := &footprint{}
	runtime.GC()
	runtime.GC() // pools forget in two steps
	runtime.ReadMemStats(&f.MemStats)
	return f
}

// live is the memory of objects and stacks.
func (f *footprint) live() int { return int(f.HeapAlloc + f.StackInuse) }
