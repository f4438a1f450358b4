package relay_test

import (
	"bufio"
	"context"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/mailweir/mailweir/filters/env"
	"github.com/mailweir/mailweir/proxy/internal/door"
	"github.com/mailweir/mailweir/proxy/relay"
	"github.com/mailweir/mailweir/proxy/upstream"
)

// bench is a session between sockets, without test code that allocates.
type bench struct {
	conn    net.Conn
	in      *bufio.Reader
	command []byte
	replies int
}

// newBench opens a session; commands are what round sends. guarded says that the
// chain listens and watches.
func newBench(t testing.TB, commands string, guarded bool) *bench {
	up, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := settings(t, slog.New(slog.DiscardHandler))
	host, err := env.Open(env.Options{Log: quiet}) // its metrics are those of the program
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { host.Close() })
	o.Meters = relay.NewMeters(host.Env(), door.NewMeters(host.Env()))
	o.Upstream = behind(upstream.NewFleet(host.Env()), up.Addr().String(), maxConnections)
	if guarded {
		pregreeting(t, &o, new(recollection), "{wait: 0s, exempt: []}")
	}
	r, err := relay.New(o)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	done.Go(func() { r.Serve(l) })
	done.Go(func() { agree(up) })
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		r.Shutdown(context.Background())
		up.Close()
		done.Wait()
	})
	b := &bench{conn: conn, in: bufio.NewReader(conn), command: []byte(hello), replies: 2}
	b.round(t)
	b.command, b.replies = []byte(commands), strings.Count(commands, "\r\n")
	b.round(t)
	return b
}

// agree serves one session with 250 for each line, without allocating.
func agree(l net.Listener) {
	conn, err := l.Accept()
	if err != nil {
		return
	}
	defer conn.Close()
	in, out := bufio.NewReader(conn), bufio.NewWriter(conn)
	out.WriteString("220 up.example ESMTP\r\n")
	for {
		if in.Buffered() == 0 && out.Flush() != nil {
			return
		}
		line, err := in.ReadSlice('\n')
		switch {
		case err != nil:
			return
		case line[0] == 'E':
			out.WriteString("250-up.example\r\n250 PIPELINING\r\n")
		default:
			out.WriteString("250 Ok\r\n")
		}
	}
}

// round sends the commands and reads the replies.
func (b *bench) round(t testing.TB) {
	if _, err := b.conn.Write(b.command); err != nil {
		t.Fatal(err)
	}
	for left := b.replies; left > 0; {
		line, err := b.in.ReadSlice('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line[0] != '2' {
			t.Fatalf("reply %q", line)
		}
		if line[3] == ' ' {
			left--
		}
	}
}

var cycles = map[string]string{
	"NOOP":  "NOOP\r\n",
	"RSET":  "RSET\r\n",
	"cycle": envelope + "RSET\r\n",
}

func BenchmarkCommands(b *testing.B) {
	for name, commands := range cycles {
		b.Run(name, func(b *testing.B) {
			s := newBench(b, commands, false)
			b.ReportAllocs()
			for b.Loop() {
				s.round(b)
			}
		})
	}
}

// Steady commands do not allocate, but for the log record of a transaction that
// was reset and, now and then, room for addresses.
func TestCommandsDoNotAllocate(t *testing.T) {
	for name, most := range map[string]float64{"NOOP": 0, "RSET": 0, "cycle": 8} {
		for _, guarded := range []bool{false, true} {
			s := newBench(t, cycles[name], guarded)
			if n := testing.AllocsPerRun(500, func() { s.round(t) }); n > most {
				t.Errorf("%s, guarded %v: %v allocations", name, guarded, n)
			}
		}
	}
}
