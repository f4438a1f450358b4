package domains_test

import (
	"strings"
	"testing"

	"github.com/mailweir/mailweir/filters/internal/domains"
)

func TestValid(t *testing.T) {
	label := strings.Repeat("a", 63)
	for _, c := range []struct {
		name               string
		strict, underscore bool
	}{
		{"example.com", true, true},
		{"MX-1.Example.com", true, true},
		{"localhost", true, true},
		{"1.example", true, true},
		{label + ".example", true, true},
		{strings.Repeat(label+".", 3) + label, true, true},
		{"my_host.example.com", false, true},
		{"", false, false},
		{".", false, false},
		{"a..b", false, false},
		{".example", false, false},
		{"example.", false, false},
		{"-a.example", false, false},
		{"a-.example", false, false},
		{"a b.example", false, false},
		{"exämple.com", false, false},
		{"a@example", false, false},
		{"{host}", false, false},
		{"x\x00y", false, false},
		{label + "a.example", false, false},
		{strings.Repeat(label+".", 4) + "a", false, false},
	} {
		if got := domains.Valid(c.name, false); got != c.strict {
			t.Errorf("Valid(%q, false) = %v", c.name, got)
		}
		if got := domains.Valid(c.name, true); got != c.underscore {
			t.Errorf("Valid(%q, true) = %v", c.name, got)
		}
	}
}

func TestContains(t *testing.T) {
	set, err := domains.Read(strings.NewReader("Example.com\n.example.net # all of it\nexämple.org\n"), "list")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		"example.com":            true,
		"EXAMPLE.COM":            true,
		"sub.example.com":        false,
		"example.net":            true,
		"a.b.Example.Net":        true,
		"badexample.net":         false,
		"net":                    false,
		".example.net":           false,
		"a..example.net":         false,
		"a%b.example.net":        false,
		"xn--exmple-cua.org":     true,
		"exämple.org":            true,
		"EXÄMPLE.org":            true,
		"ex\xffmple.org":         false,
		"example.com.":           false,
		"":                       false,
		strings.Repeat("a", 300): false,
		strings.Repeat("ä", 300): false,
		"ä.example.net":          true,
		"[192.0.2.1]":            false,
	} {
		if got := set.Contains(name); got != want {
			t.Errorf("Contains(%q) = %v", name, got)
		}
	}
}

func TestContainsDoesNotAllocate(t *testing.T) {
	set := domains.Of([]domains.Pattern{"example.com", ".example.net"})
	n := testing.AllocsPerRun(100, func() {
		set.Contains("Example.com")
		set.Contains("a.b.c.Example.net")
		set.Contains("mail.example.org")
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestParseErrors(t *testing.T) {
	for entry, want := range map[string]string{
		"*.example.com":    `write ".example.com"`,
		"user@example.com": "not a domain name",
		"":                 "not a domain name",
		"..example.com":    "not a domain name",
		"a b":              "not a domain name",
		"[192.0.2.1]":      "not a domain name",
		"ä\u200d.example":  "no internationalised domain name",
	} {
		if p, err := domains.Parse(entry); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q reads as %q, error %v; want %q", entry, p, err, want)
		}
	}
}

func TestASCII(t *testing.T) {
	for domain, want := range map[string]string{
		"Example.COM":             "example.com",
		"example.com.":            "example.com",
		"my_host.example":         "my_host.example",
		"localhost":               "localhost",
		"Exämple.com":             "xn--exmple-cua.com",
		"bücher。example":          "xn--bcher-kva.example",
		"💩.la":                    "xn--ls8h.la",
		"":                        "",
		".":                       "",
		"a..example":              "",
		"a b.example":             "",
		"a\x00.example":           "",
		"ä\xff.example":           "",
		"[192.0.2.1]":             "",
		strings.Repeat("ä", 80):   "",
		strings.Repeat("ä", 2000): "",
	} {
		got, ok := domains.ASCII(domain)
		if ok != (want != "") || ok && got != want {
			t.Errorf("ASCII(%q) = %q, %v; want %q", domain, got, ok, want)
		}
	}
}
