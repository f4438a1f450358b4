package upstream_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/upstream"
)

// TestManyAddresses tries the addresses of a server a quarter of a second apart,
// or at once when one fails (RFC 8305 section 5).
func TestManyAddresses(t *testing.T) {
	const v6 = "[2001:db8::1]:25"
	for _, test := range []struct {
		what    string
		manners map[string]string
		want    []string // addresses in order
		after   time.Duration
		err     string
	}{
		{what: "all well", want: []string{v6}},
		{what: "first is silent", manners: map[string]string{v6: silent}, want: []string{v6, one}, after: 250 * time.Millisecond},
		{what: "two are silent", manners: map[string]string{v6: silent, one: silent}, want: []string{v6, one, two}, after: 500 * time.Millisecond},
		{what: "first refuses", manners: map[string]string{v6: refuses}, want: []string{v6, one}},
		{what: "silent, then refuses", manners: map[string]string{v6: silent, one: refuses}, want: []string{v6, one, two}, after: 250 * time.Millisecond},
		{what: "all are silent", manners: map[string]string{v6: silent, one: silent, two: silent}, want: []string{v6, one, two}, after: brief.Connect, err: "deadline exceeded"},
		{what: "all refuse", manners: map[string]string{v6: refuses, one: refuses, two: refuses}, want: []string{v6, one, two}, err: "none of its addresses answers"},
	} {
		t.Run(test.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newTown(t)
				w.tell("mx.example AAAA 2001:db8::1\nmx.example A 192.0.2.1\nmx.example A 192.0.2.2")
				for address, manner := range test.manners {
					w.is(manner, address)
				}
				start := time.Now()
				c, err := w.group(at(upstream.Host, "mx.example", 25)).Open(t.Context(), theClient(), &brief)
				if time.Since(start) != test.after {
					t.Errorf("it took %v, want %v", time.Since(start), test.after)
				}
				if got := errorText(err); !strings.Contains(got, test.err) || (err == nil) != (test.err == "") {
					t.Errorf("error %s, want %s", got, test.err)
				}
				w.wantDialed(test.want...)
				if err == nil {
					c.Quit()
				}
			})
		})
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestLosers closes connections that come too late.
func TestLosers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		w.tell("mx.example AAAA 2001:db8::1\nmx.example A 192.0.2.1")
		near, far := net.Pipe()
		w.fleet.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			if address == one {
				time.Sleep(time.Second)
				return w.dial(ctx, network, address)
			}
			time.Sleep(2 * time.Second) // whatever ctx says
			return near, nil
		}
		c := w.enter(w.group(at(upstream.Host, "mx.example", 25)))
		if _, err := far.Read(make([]byte, 1)); err == nil {
			t.Error("the late connection is open")
		}
		c.Quit()
	})
}

// TestTransparent connects from the client's address, to servers of its family
// alone; it is not their fault if that does not work.
func TestTransparent(t *testing.T) {
	client4, client6 := netip.MustParseAddrPort("198.51.100.7:4711"), netip.MustParseAddrPort("[2001:db8::7]:4711")
	for _, test := range []struct {
		what   string
		client netip.AddrPort
		fails  error
		want   string // how it was dialed
		err    string
		out    bool
	}{
		{what: "IPv4", client: client4, want: "198.51.100.7 192.0.2.1:25"},
		{what: "IPv4 in IPv6", client: netip.MustParseAddrPort("[::ffff:198.51.100.7]:4711"), want: "198.51.100.7 192.0.2.1:25"},
		{what: "IPv6", client: client6, err: "no address of the family"},
		{what: "no permission", client: client4, fails: upstream.NotPermitted(syscall.EPERM), err: "give CAP_NET_ADMIN (AmbientCapabilities= in the unit)"},
		{what: "no answer", client: client4, fails: context.DeadlineExceeded, err: "docs/identity.md", out: true},
		{what: "refused", client: client4, fails: syscall.ECONNREFUSED, err: "connection refused", out: true},
	} {
		t.Run(test.what, func(t *testing.T) {
			w := newTown(t)
			how := ""
			w.fleet.SetDialFrom(func(ctx context.Context, from netip.Addr, network, address string) (net.Conn, error) {
				how = from.String() + " " + address
				if test.fails != nil {
					return nil, test.fails
				}
				return w.dial(ctx, network, address)
			})
			o := standard("192.0.2.1")
			o.Identity = upstream.Transparent
			s := &filters.Session{Client: test.client}
			c, err := w.group(o).Open(t.Context(), s, &brief)
			if got := errorText(err); !strings.Contains(got, test.err) || (err == nil) != (test.err == "") {
				t.Errorf("error %s, want %s", got, test.err)
			}
			if test.want != "" && how != test.want {
				t.Errorf("dialed %s, want %s", how, test.want)
			}
			if counts := w.logged("server is out"); counts[0] == 1 != test.out {
				t.Errorf("logged %d times that it is out", counts[0])
			}
			if err == nil {
				c.Quit()
			}
		})
	}
}

// TestTransparentForReal connects from an address that this machine need not
// have, if the system lets it.
func TestTransparentForReal(t *testing.T) {
	for _, test := range []struct{ from, to string }{{"127.7.7.7", "127.0.0.1:0"}, {"::1", "[::1]:0"}} {
		t.Run(test.from, func(t *testing.T) {
			l, err := net.Listen("tcp", test.to)
			if err != nil {
				t.Skip("no such address here: ", err)
			}
			defer l.Close()
			var heard atomic.Value
			done := make(chan struct{})
			go func() {
				defer close(done)
				if conn, err := l.Accept(); err == nil {
					heard.Store(netip.MustParseAddrPort(conn.RemoteAddr().String()).Addr().String())
					conn.Close()
				}
			}()
			conn, err := upstream.DialFrom(t.Context(), netip.MustParseAddr(test.from), "tcp", l.Addr().String())
			if err != nil {
				l.Close()
			} else {
				conn.Close()
			}
			<-done
			switch got := heard.Load(); {
			case errors.Is(err, syscall.EPERM):
				if !upstream.IsNotPermitted(err) {
					t.Errorf("error %v", err)
				}
			case err != nil:
				t.Error(err)
			case got != test.from:
				t.Errorf("the server sees %v", got)
			}
		})
	}
}

// fromAnywhere connects from the addresses of clients.
func fromAnywhere(dial func(context.Context, string, string) (net.Conn, error)) func(context.Context, netip.Addr, string, string) (net.Conn, error) {
	return func(ctx context.Context, _ netip.Addr, network, address string) (net.Conn, error) {
		return dial(ctx, network, address)
	}
}
