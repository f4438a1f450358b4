package upstream_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/upstream"
)

// at returns options of the server that the DNS knows.
func at(kind upstream.ServerKind, host string, port uint16) upstream.Options {
	o := standard()
	o.Servers = []upstream.Server{{Kind: kind, Host: host, Port: port, Weight: 1}}
	return o
}

// tell adds records to the DNS.
func (w *town) tell(records string) {
	w.Helper()
	if err := w.dns.Add(records); err != nil {
		w.Fatal(err)
	}
}

// TestFind finds servers by the DNS. All of them refuse: the error and the
// order of the attempts show who was found.
func TestFind(t *testing.T) {
	for _, test := range []struct {
		what    string
		options upstream.Options
		records string
		want    []string // addresses in order
		err     string
	}{
		{what: "address", options: at(upstream.Host, "192.0.2.1", 26), want: []string{"192.0.2.1:26"}, err: "192.0.2.1:26: connection refused"},
		{what: "IPv4 address in IPv6", options: at(upstream.Host, "::ffff:192.0.2.1", 26), want: []string{"192.0.2.1:26"}},
		{what: "IPv6 address", options: at(upstream.Host, "2001:db8::1", 25), want: []string{"[2001:db8::1]:25"}},
		{what: "name", options: at(upstream.Host, "mx.example", 25), records: "mx.example A 192.0.2.1", want: []string{one}, err: "mx.example:25: connection refused"},
		{what: "name in the file of hosts", options: at(upstream.Host, "localhost", 25), records: "localhost A 192.0.2.1", want: []string{"127.0.0.1:25"}},
		{what: "families in turn", options: at(upstream.Host, "mx.example", 25),
			records: "mx.example A 192.0.2.1\nmx.example A 192.0.2.2\nmx.example A 192.0.2.3\nmx.example AAAA 2001:db8::1",
			want:    []string{"[2001:db8::1]:25", one, two, three}},
		{what: "no name", options: at(upstream.Host, "mx.example", 25), err: "no such name"},
		{what: "no address", options: at(upstream.Host, "mx.example", 25), records: "mx.example TXT x", err: "no records of that type"},
		{what: "no answer for one family", options: at(upstream.Host, "mx.example", 25), records: "mx.example SERVFAIL", err: "the name servers failed"},
		{what: "Unix socket", options: upstream.Options{Name: "mx", MaxConnections: 1, Servers: []upstream.Server{{Kind: upstream.Unix, Path: "/run/lmtp"}}},
			want: []string{"/run/lmtp"}, err: "unix:/run/lmtp: connection refused"},
		{what: "SRV", options: at(upstream.SRV, "_smtp._tcp.example", 0), want: []string{"192.0.2.1:26", "192.0.2.2:27"},
			records: "_smtp._tcp.example SRV 2 1 27 b.example\n_smtp._tcp.example SRV 1 1 26 a.example\na.example A 192.0.2.1\nb.example A 192.0.2.2"},
		{what: "SRV, one of two services", options: at(upstream.SRV, "_smtp._tcp.example", 0), want: []string{"192.0.2.1:26"},
			records: "_smtp._tcp.example SRV 1 1 26 a.example\n_smtp._tcp.example SRV 1 1 0 b.example\na.example A 192.0.2.1"},
		{what: "SRV twice", options: at(upstream.SRV, "_smtp._tcp.example", 0), want: []string{"192.0.2.1:26"},
			records: "_smtp._tcp.example SRV 1 1 26 a.example\n_smtp._tcp.example SRV 2 1 26 a.example\na.example A 192.0.2.1"},
		{what: "SRV, no such service", options: at(upstream.SRV, "_smtp._tcp.example", 0), records: "_smtp._tcp.example SRV 0 0 0 .", err: "no such service"},
		{what: "no SRV", options: at(upstream.SRV, "_smtp._tcp.example", 0), err: "SRV _smtp._tcp.example: no such name"},
		{what: "MX", options: at(upstream.MX, "example", 0), want: []string{one, two}, records: "example MX 20 b.example\nexample MX 10 a.example\na.example A 192.0.2.1\nb.example A 192.0.2.2"},
		{what: "MX at another port", options: at(upstream.MX, "example", 2525), want: []string{"192.0.2.1:2525"}, records: "example MX 20 a.example\na.example A 192.0.2.1"},
		{what: "null MX", options: at(upstream.MX, "example", 0), records: "example MX 0 .", err: "null MX"},
		{what: "domain without MX", options: at(upstream.MX, "example", 0), records: "example A 192.0.2.1", want: []string{one}},
		{what: "no domain", options: at(upstream.MX, "example", 0), err: "MX example: no such name"},
	} {
		t.Run(test.what, func(t *testing.T) {
			w := newTown(t)
			w.tell(test.records)
			w.is(refuses, test.want...)
			w.is(refuses, "127.0.0.1:25")
			_, err := w.group(test.options).Open(t.Context(), theClient(), &brief)
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("error %v, want %s", err, test.err)
			}
			w.wantDialed(test.want...)
		})
	}
}

// TestManyServers bounds what the DNS can make us do.
func TestManyServers(t *testing.T) {
	w := newTown(t)
	for i := 1; i <= 100; i++ {
		w.tell(fmt.Sprintf("example MX %d mx%d.example\nmx%d.example A 192.0.2.%d", i, i, i, i))
		w.tell(fmt.Sprintf("host.example A 192.0.2.%d\nhost.example AAAA 2001:db8::%x", i, i))
		w.is(refuses, fmt.Sprintf("192.0.2.%d:25", i), fmt.Sprintf("[2001:db8::%x]:25", i))
	}
	for _, test := range []struct {
		options upstream.Options
		want    int
	}{
		{at(upstream.MX, "example", 0), 64},
		{at(upstream.Host, "host.example", 25), 16},
	} {
		test.options.Name = test.options.Servers[0].Host
		_, err := w.group(test.options).Open(t.Context(), theClient(), &brief)
		if calls := w.dialed(); err == nil || len(calls) != test.want {
			t.Errorf("%s: dialed %d addresses, want %d", test.options.Name, len(calls), test.want)
		}
		if text := errorText(err); !strings.HasSuffix(text, fmt.Sprintf("and %d more", test.want-10)) {
			t.Errorf("error %s", text)
		}
	}
}

// TestDNSFails keeps the last good answer in use while the DNS fails, and says
// so once.
func TestDNSFails(t *testing.T) {
	for _, test := range []struct {
		what    string
		options upstream.Options
		records string
		gone    string // which name is
	}{
		{"name", at(upstream.Host, "a.example", 25), "a.example A 192.0.2.1", "a.example"},
		{"SRV", at(upstream.SRV, "_smtp._tcp.example", 0), "_smtp._tcp.example SRV 1 1 25 a.example\na.example A 192.0.2.1", "example"},
		{"MX", at(upstream.MX, "example", 0), "example MX 1 a.example\na.example A 192.0.2.1", "example"},
	} {
		t.Run(test.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newTown(t)
				g := w.group(test.options)
				w.tell(test.records)
				w.visit(g)
				for _, fault := range []string{" SERVFAIL", " DROP"} {
					w.tell(test.gone + fault)
					for range 5 {
						start := time.Now()
						w.visit(g)
						if took := time.Since(start); took > 4*time.Second {
							t.Errorf("%s: the session waited for %v", fault, took)
						}
						time.Sleep(30 * time.Second)
					}
				}
				if text := w.log.Take(); strings.Count(text, "the last answer stays in use") == 0 || strings.Count(text, "\n") > 2 {
					t.Errorf("logged %s", text)
				}
				w.wantDialed(slices.Repeat([]string{one}, 11)...)
				w.dns.Clear()
				if _, err := g.Open(t.Context(), theClient(), &brief); !errors.Is(err, filters.ErrNXDomain) {
					t.Errorf("when the name is gone for good: %v", err)
				}
			})
		})
	}
}

// TestDNSChanges follows the DNS: new servers get sessions, old ones none.
func TestDNSChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		g := w.group(at(upstream.MX, "example", 0))
		w.tell("example MX 1 a.example\na.example A 192.0.2.1\nb.example A 192.0.2.2")
		c := w.enter(g)
		if n := w.tally.get("mailweir_upstream_connections", "mx", "mx:example"); n != 1 {
			t.Errorf("counted %v connections", n)
		}
		w.dns.Clear()
		w.tell("example MX 1 b.example\nb.example A 192.0.2.2")
		if at := w.visit(g); at != "b.example:25" {
			t.Errorf("connected to %s", at)
		}
		if n := w.tally.get("mailweir_upstream_connections", "mx", "mx:example"); n != 1 || w.fleet.Held() != 1 {
			t.Errorf("counted %v connections, %d held", n, w.fleet.Held())
		}
		c.Quit()
		if n := w.tally.get("mailweir_upstream_connections", "mx", "mx:example"); n != 0 {
			t.Errorf("counted %v connections in the end", n)
		}
	})
}

// TestSomeKnown uses the servers that are known when the DNS does not say where
// others are.
func TestSomeKnown(t *testing.T) {
	w := newTown(t)
	o := at(upstream.SRV, "_smtp._tcp.example", 0)
	o.Servers = append(o.Servers, standard("192.0.2.1").Servers...)
	if got := w.visit(w.group(o)); got != one {
		t.Errorf("connected to %s", got)
	}
}
