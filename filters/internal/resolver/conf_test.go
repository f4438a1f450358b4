package resolver_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/internal/resolver"
)

// TestResolvConf reads the file again when it has changed, and has a look at
// most every five seconds.
func TestResolvConf(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	at := time.Unix(1700000000, 0)
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		at = at.Add(time.Second)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		w := &wires{t: t, servers: map[string]manners{}}
		for _, address := range []string{"192.0.2.7:53", "[2001:db8::7]:53", "[fe80::7%eth0]:53", "127.0.0.1:53"} {
			w.servers[address] = addresses
		}
		var j journal
		write("# comment\nnameserver 192.0.2.7\nnameserver 192.0.2.8\nsearch example.com\n")
		r, err := resolver.Open(resolver.Options{ResolvConf: path, Log: j.log()}.DialBy(w.dial))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		want := func(what, address string) {
			t.Helper()
			_, err := r.Fresh().Lookup(t.Context(), question1)
			if got := w.took(); err != nil || got != address+" udp" {
				t.Errorf("%s: asked %s, %v, want %s", what, got, err, address)
			}
		}
		want("at first", "192.0.2.7:53")
		write("nameserver 2001:db8::7\n")
		time.Sleep(5*time.Second - time.Nanosecond)
		want("too early for a look", "192.0.2.7:53")
		time.Sleep(time.Nanosecond)
		want("changed", "[2001:db8::7]:53")
		write("nameserver rubbish\nnameserver fe80::7%eth0\n")
		time.Sleep(5 * time.Second)
		want("with rubbish", "[fe80::7%eth0]:53")
		if !strings.Contains(j.String(), "rubbish") {
			t.Errorf("rubbish is not logged:\n%s", j.String())
		}
		write("nameserver 192.0.2.7\n")
		if err := os.Rename(path, path+"~"); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			time.Sleep(5 * time.Second)
			want("gone", "[fe80::7%eth0]:53")
		}
		if n := strings.Count(j.String(), "cannot be read again"); n != 1 {
			t.Errorf("its absence is logged %d times, want once:\n%s", n, j.String())
		}
		if err := os.Rename(path+"~", path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		want("come back", "192.0.2.7:53")
		write("search example.com\n")
		time.Sleep(5 * time.Second)
		want("without servers", "127.0.0.1:53")
	})
}

func TestOpenFails(t *testing.T) {
	good := netip.MustParseAddrPort("192.0.2.1:53")
	for what, test := range map[string]struct {
		o    resolver.Options
		want string
	}{
		"an absent file":    {resolver.Options{ResolvConf: filepath.Join(t.TempDir(), "absent")}, "absent"},
		"a folder":          {resolver.Options{ResolvConf: t.TempDir()}, "not a regular file"},
		"negative time":     {resolver.Options{Attempt: -1}, "attempt"},
		"negative number":   {resolver.Options{CacheEntries: -1}, "cache_entries"},
		"least above most":  {resolver.Options{MinTTL: 2, MaxTTL: 1}, "min_ttl"},
		"no port":           {resolver.Options{Servers: []netip.AddrPort{netip.AddrPortFrom(good.Addr(), 0)}}, "port"},
		"no address":        {resolver.Options{Servers: []netip.AddrPort{{}}}, "address"},
		"very many servers": {resolver.Options{Servers: make([]netip.AddrPort, 17)}, "at most 16"},
	} {
		if _, err := resolver.Open(test.o); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want one about %q", what, err, test.want)
		}
	}
}

// TestSystemConf opens with what this machine has, be it nothing.
func TestSystemConf(t *testing.T) {
	r := open(t, resolver.Options{})
	if _, _, ok := r.Known(filters.Question{Name: "a.example", Type: filters.TypeA}); ok {
		t.Error("an answer is known that nobody asked for")
	}
}
