package smtp_test

import (
	"strings"
	"testing"

	"github.com/mailweir/mailweir/proxy/smtp"
)

func TestXtext(t *testing.T) {
	for plain, encoded := range map[string]string{
		"":                  "",
		"a@b":               "a@b",
		"a+b=c":             "a+2Bb+3Dc",
		"a b":               "a+20b",
		"+":                 "+2B",
		"[UNAVAILABLE]":     "[UNAVAILABLE]",
		"\x00\r\n\x7f":      "+00+0D+0A+7F",
		"ü\xff":             "+C3+BC+FF",
		"!\"#$%&'()*,-./":   "!\"#$%&'()*,-./",
		"0:;<>?@[\\]^`{|}~": "0:;<>?@[\\]^`{|}~",
	} {
		if got := string(smtp.AppendXtext([]byte("x"), plain)); got != "x"+encoded {
			t.Errorf("%q is written as %q, want %q", plain, got, encoded)
		}
		if got, err := smtp.Xtext(encoded); err != nil || got != plain {
			t.Errorf("%q is read as %q, %v", encoded, got, err)
		}
	}
	if got, err := smtp.Xtext("+61+2B"); err != nil || got != "a+" {
		t.Errorf("what need not be encoded, but is: %q, %v", got, err)
	}
}

func TestXtextRefuses(t *testing.T) {
	for _, in := range []string{" ", "a b", "a=b", "+", "+4", "a+", "+G0", "+0G", "+c3", "+3d", "++2B", "+ 2", "\r", "\n", "\x00", "\x7f", "ü", "\xff", "a+-1"} {
		if got, err := smtp.Xtext(in); err != smtp.BadXtext || got != "" {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
}

func FuzzXtext(f *testing.F) {
	for _, s := range []string{"", "a+2Bb", "+0D+0A", "a b", "+c3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		encoded := string(smtp.AppendXtext(nil, s))
		if got, err := smtp.Xtext(encoded); err != nil || got != s {
			t.Fatalf("%q is written as %q and read as %q, %v", s, encoded, got, err)
		}
		if strings.ContainsFunc(encoded, func(r rune) bool { return r <= ' ' || r == '=' || r >= 0x7f }) {
			t.Fatalf("%q", encoded)
		}
		decoded, err := smtp.Xtext(s)
		if err != nil {
			return
		}
		if again, err := smtp.Xtext(string(smtp.AppendXtext(nil, decoded))); err != nil || again != decoded {
			t.Fatalf("%q is %q, and after that %q, %v", s, decoded, again, err)
		}
	})
}
