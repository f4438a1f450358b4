package ipset_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/mailweir/mailweir/filters/ipset"
)

func TestParse(t *testing.T) {
	for entry, want := range map[string]string{
		"192.0.2.1":            "192.0.2.1/32",
		"192.0.2.0/24":         "192.0.2.0/24",
		"0.0.0.0/0":            "0.0.0.0/0",
		"2001:DB8::/32":        "2001:db8::/32",
		"2001:db8::1":          "2001:db8::1/128",
		"::/0":                 "::/0",
		"::ffff:192.0.2.1":     "192.0.2.1/32",
		"::ffff:192.0.2.0/120": "192.0.2.0/24",
		"::ffff:0:0/96":        "0.0.0.0/0",
	} {
		if p, err := ipset.Parse(entry); err != nil || p.String() != want {
			t.Errorf("%s reads as %v, error %v; want %s", entry, p, err, want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for entry, want := range map[string]string{
		"":                   "neither an IP address nor a network",
		"example.com":        "neither an IP address nor a network",
		"192.0.2.0/33":       "neither an IP address nor a network",
		"192.0.2.0/":         "neither an IP address nor a network",
		"192.0.2":            "neither an IP address nor a network",
		"192.0.2.77/24":      "write 192.0.2.0/24 for the network or 192.0.2.77 for the address",
		"2001:db8::1/32":     "write 2001:db8::/32 for the network",
		"::ffff:192.0.2.0/8": "host bits",
		"fe80::1%eth0":       "write fe80::1",
		"fe80::%eth0/64":     "neither an IP address nor a network",
	} {
		if p, err := ipset.Parse(entry); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q reads as %v, error %v; want %q", entry, p, err, want)
		}
	}
}

func TestContains(t *testing.T) {
	list := "192.0.2.0/24 ; a comment\r\n# all of it\n2001:db8::/32\nfe80::/10\n::ffff:198.51.100.7\n"
	set, err := ipset.Read(strings.NewReader(list), "list")
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]bool{
		"192.0.2.200":       true,
		"::ffff:192.0.2.20": true,
		"192.0.3.1":         false,
		"2001:db8:1::1":     true,
		"2001:db9::1":       false,
		"fe80::1%eth0":      true,
		"198.51.100.7":      true,
		"198.51.100.8":      false,
	} {
		if got := set.Contains(netip.MustParseAddr(addr)); got != want {
			t.Errorf("Contains(%s) = %v", addr, got)
		}
	}
	if set.Contains(netip.Addr{}) {
		t.Error("a client without an address is in the set")
	}
}

func TestReadNamesTheLine(t *testing.T) {
	_, err := ipset.Read(strings.NewReader("192.0.2.1\n\n192.0.2.1/24\n"), "deny.txt")
	if err == nil || !strings.HasPrefix(err.Error(), "deny.txt:3: 192.0.2.1/24 has host bits set") {
		t.Errorf("error %v", err)
	}
}

func TestNetText(t *testing.T) {
	for _, text := range []string{"192.0.2.1", "192.0.2.0/24", "::1", "2001:db8::/32"} {
		var n ipset.Net
		if err := n.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if got, err := n.MarshalText(); err != nil || string(got) != text {
			t.Errorf("%s is spelt %s, error %v", text, got, err)
		}
	}
}

// FuzzRead holds that a list which reads without error contains the addresses
// it lists, in every spelling.
func FuzzRead(f *testing.F) {
	f.Add("192.0.2.1\n# x\n2001:db8::/32 ; y\r\n")
	f.Add("::ffff:192.0.2.0/120\n\ufeff")
	f.Add("0.0.0.0/0\n::/0")
	f.Add("fe80::1%eth0\n1.2.3.4/33\n")
	f.Fuzz(func(t *testing.T, text string) {
		set, err := ipset.Read(strings.NewReader(text), "list")
		if err != nil {
			if !strings.HasPrefix(err.Error(), "list:") {
				t.Errorf("error %q names no line", err)
			}
			return
		}
		for line := range strings.Lines(text) {
			p, err := ipset.Parse(strings.TrimSpace(line))
			if err == nil && !set.Contains(p.Addr()) {
				t.Errorf("%s is listed, but not contained", p)
			}
		}
	})
}
