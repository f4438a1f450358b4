package dnsbl_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/mailweir/mailweir/filters/dnsbl"
)

func TestPattern(t *testing.T) {
	for pattern, c := range map[string]struct{ yes, no string }{
		"127.0.0.2":                 {"127.0.0.2", "127.0.0.3 127.0.1.2 127.1.0.2 126.0.0.2 ::ffff:127.0.0.2 ::1"},
		"127.0.0.[2..11]":           {"127.0.0.2 127.0.0.11", "127.0.0.1 127.0.0.12"},
		"127.0.0.[2;4;6..8]":        {"127.0.0.2 127.0.0.4 127.0.0.6 127.0.0.7 127.0.0.8", "127.0.0.3 127.0.0.5 127.0.0.9"},
		"127.0.[0..255].[1..3]":     {"127.0.0.1 127.0.255.3", "127.0.7.0 127.1.0.1"},
		"127.0.0.*":                 {"127.0.0.0 127.0.0.255", "127.0.1.0"},
		"127.*.*.*":                 {"127.255.255.254", "128.0.0.0"},
		"127.0.0.&8":                {"127.0.0.8 127.0.0.9 127.0.0.255", "127.0.0.7 127.0.0.16"},
		"127.0.0.&10":               {"127.0.0.10 127.0.0.11", "127.0.0.8 127.0.0.2"},
		"127.0.0.0/24":              {"127.0.0.0 127.0.0.255", "127.0.1.0"},
		"127.0.0.0/8":               {"127.0.0.0 127.255.0.1", "128.0.0.0"},
		"127.0.0.8/29":              {"127.0.0.8 127.0.0.15", "127.0.0.7 127.0.0.16"},
		"127.0.2.0/23":              {"127.0.2.0 127.0.3.255", "127.0.1.255 127.0.4.0"},
		"0.0.0.0/0":                 {"127.0.0.1 192.0.2.1", "::1"},
		"[127;128].[0..0].0.[2..2]": {"127.0.0.2 128.0.0.2", "127.0.0.3"},
	} {
		p, err := dnsbl.ParsePattern(pattern)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		for _, a := range strings.Fields(c.yes) {
			if !p.Matches(netip.MustParseAddr(a)) {
				t.Errorf("%s does not match %s", pattern, a)
			}
		}
		for _, a := range strings.Fields(c.no) {
			if p.Matches(netip.MustParseAddr(a)) {
				t.Errorf("%s matches %s", pattern, a)
			}
		}
	}
}

func TestPatternErrors(t *testing.T) {
	for pattern, want := range map[string]string{
		"":                    "want a number",
		"127.0.0":             "four octets",
		"127.0.0.2.3":         "nothing behind",
		"127.0.0.256":         "got \"256\"",
		"127.0.0.-1":          "got \"-1\"",
		"127.0.0.02":          "got \"02\"",
		"127.0.0.+2":          "got \"+2\"",
		"127.0.0.[2..11":      "ends in ]",
		"127.0.0.[]":          "want a number",
		"127.0.0.[2;]":        "want a number",
		"127.0.0.[4..2]":      "4 stands before a lesser number",
		"127.0.0.[2..3..4]":   "got \"3..4\"",
		"127.0.0.&0":          "from 1 to 255 behind &",
		"127.0.0.&":           "from 1 to 255 behind &",
		"127.0.0.**":          "got \"**\"",
		"127.0.0.2 ":          "got \"2 \"",
		"127.0.0.1/24":        "the network is 127.0.0.0/24",
		"127.0.0.0/33":        "want a network",
		"::/0":                "IPv4 addresses",
		"192.0.2.2":           "outside of 127.0.0.0/8",
		"192.0.2.0/24":        "outside of 127.0.0.0/8",
		"127.255.255.254":     "errors",
		"127.255.255.0/24":    "errors",
		"\x1b[2J":             `\x1b`,
		"127.0.0.[2..11].1.1": "nothing behind",
	} {
		if _, err := dnsbl.ParsePattern(pattern); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", pattern, err, want)
		}
	}
}

func FuzzParsePattern(f *testing.F) {
	for _, seed := range []string{"127.0.0.2", "127.0.0.[2;4;6..8]", "127.0.*.&8", "127.0.0.0/24", "[127..127].[0].0.[", "127.0.0.&"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := dnsbl.ParsePattern(text)
		if err != nil {
			if p.Matches(netip.MustParseAddr("127.0.0.2")) {
				t.Errorf("%q is wrong, and matches", text)
			}
			return
		}
		if p.String() != text || p.IsZero() {
			t.Errorf("%q is shown as %q", text, p)
		}
		if !strings.ContainsAny(text, "[*&/") { // then it is an address
			if a, err := netip.ParseAddr(text); err != nil || !p.Matches(a) {
				t.Errorf("%q does not match itself: %v", text, err)
			}
		}
	})
}
