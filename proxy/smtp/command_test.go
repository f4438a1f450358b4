package smtp_test

import (
	"strings"
	"testing"

	"github.com/mailweir/mailweir/proxy/smtp"
)

func TestVerbs(t *testing.T) {
	for v := smtp.HELO; v <= smtp.XFORWARD; v++ {
		name := v.String()
		for _, word := range []string{name, strings.ToLower(name), name[:1] + strings.ToLower(name[1:])} {
			for _, tail := range []string{"", " ", "\t", " x", "\tx", "  x  "} {
				c := smtp.ParseCommand([]byte(word + tail))
				if c.Verb != v || string(c.Word) != word || string(c.Args) != strings.Trim(tail, " \t") {
					t.Errorf("%q: %v %q %q", word+tail, c.Verb, c.Word, c.Args)
				}
			}
			for _, not := range []string{word[1:], word[:len(word)-1], word + "X", "\x00" + word, word + "\x00"} {
				if c := smtp.ParseCommand([]byte(not)); c.Verb != smtp.Unknown {
					t.Errorf("%q is taken for %v", not, c.Verb)
				}
			}
		}
	}
}

func TestParseCommand(t *testing.T) {
	for _, c := range []struct {
		line       string
		verb       smtp.Verb
		word, args string
	}{
		{"", smtp.Unknown, "", ""},
		{" \t ", smtp.Unknown, "", ""},
		{" NOOP", smtp.Unknown, "", "NOOP"},
		{"UNKNOWN x", smtp.Unknown, "UNKNOWN", "x"},
		{"MAIL FROM:<a b> X=y", smtp.MAIL, "MAIL", "FROM:<a b> X=y"},
		{"MAIL \t FROM:<>\t ", smtp.MAIL, "MAIL", "FROM:<>"},
		{"MAIL\u00a0FROM:<>", smtp.Unknown, "MAIL\u00a0FROM:<>", ""},
		{"ſTARTTLS", smtp.Unknown, "ſTARTTLS", ""},
		{"\x00\x00\x00\x00", smtp.Unknown, "\x00\x00\x00\x00", ""},
		{strings.Repeat("A", 500), smtp.Unknown, strings.Repeat("A", 500), ""},
	} {
		got := smtp.ParseCommand([]byte(c.line))
		if got.Verb != c.verb || string(got.Word) != c.word || string(got.Args) != c.args {
			t.Errorf("%q: %v %q %q", c.line, got.Verb, got.Word, got.Args)
		}
	}
}
