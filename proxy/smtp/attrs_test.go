package smtp_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailweir/mailweir/proxy/smtp"
)

func TestParseAttrs(t *testing.T) {
	long := strings.Repeat("v", 255)
	for in, want := range map[string][]smtp.Attr{
		"NAME=a.example":                 {{"NAME", "a.example"}},
		"name=A.example Reverse_Name=b":  {{"NAME", "A.example"}, {"REVERSE_NAME", "b"}},
		"A=1 B=2 C=3":                    {{"A", "1"}, {"B", "2"}, {"C", "3"}},
		"X-1=+C3+BC LOGIN=a+20b+2B+3D@c": {{"X-1", "ü"}, {"LOGIN", "a b+=@c"}},
		"ADDR=IPV6:2001:db8::7":          {{"ADDR", "IPV6:2001:db8::7"}},
		"HELO=" + long:                   {{"HELO", long}},
	} {
		got, err := smtp.ParseAttrs([]byte(in))
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%q: %v\n%s", in, err, diff)
		}
	}
}

func TestParseAttrsRefuses(t *testing.T) {
	var many strings.Builder
	for i := range 33 {
		fmt.Fprintf(&many, " A%d=1", i)
	}
	for in, want := range map[string]string{
		"":                                 "syntax",
		" ":                                "syntax",
		"NAME":                             "syntax",
		"=a":                               "syntax",
		"NAME=a ":                          "syntax",
		" NAME=a":                          "syntax",
		"NAME=a  ADDR=b":                   "syntax",
		"NAME=a\tADDR=b":                   "bad NAME: its value is not xtext",
		"NA ME=a":                          "syntax",
		"1NAME=a":                          "syntax",
		"_N=a":                             "syntax",
		"-N=a":                             "syntax",
		"N\r\n=a":                          "syntax",
		"N\xc3\xbc=a":                      "syntax",
		"ſ=a":                              "syntax", // in upper case an S
		"@=a":                              "syntax",
		"[=a":                              "syntax",
		"`=a":                              "syntax",
		"{=a":                              "syntax",
		"NAME = a":                         "syntax",
		strings.Repeat("N", 33) + "=a":     "syntax",
		"NAME=":                            "bad NAME: its value is empty",
		"HELO=a=b":                         "bad HELO: its value is not xtext",
		"HELO=+0d":                         "bad HELO: its value is not xtext",
		"HELO=a+0D+0Ab":                    "bad HELO: its value is not printable",
		"HELO=+00":                         "bad HELO: its value is not printable",
		"HELO=+09":                         "bad HELO: its value is not printable",
		"HELO=+7F":                         "bad HELO: its value is not printable",
		"HELO=+FF":                         "bad HELO: its value is not printable",
		"HELO=+C2+85":                      "bad HELO: its value is not printable", // NEL
		"HELO=+E2+80+AE":                   "bad HELO: its value is not printable", // right to left
		"HELO=" + strings.Repeat("v", 256): "bad HELO: its value is too long",
		"NAME=a name=b":                    "NAME is there twice",
		"A=1 B=2 A=1":                      "A is there twice",
		many.String()[1:]:                  "too many attributes",
	} {
		got, err := smtp.ParseAttrs([]byte(in))
		if fault, ok := err.(smtp.Fault); !ok || !strings.HasPrefix(string(fault), want) || got != nil {
			t.Errorf("%q: %q, %v; want %s", in, got, err, want)
		}
	}
}

func TestSplitAttrs(t *testing.T) {
	name := smtp.Attr{Name: "NAME", Value: "a.example"}
	login := smtp.Attr{Name: "LOGIN", Value: "a b+c"}
	addr := smtp.Attr{Name: "ADDR", Value: "192.0.2.1"}
	all := "XCLIENT NAME=a.example LOGIN=a+20b+2Bc ADDR=192.0.2.1"
	for _, c := range []struct {
		max  int
		want []string
	}{
		{512, []string{all}},
		{len(all) + 2, []string{all}},
		{len(all) + 1, []string{"XCLIENT NAME=a.example LOGIN=a+20b+2Bc", "XCLIENT ADDR=192.0.2.1"}},
		{40, []string{"XCLIENT NAME=a.example LOGIN=a+20b+2Bc", "XCLIENT ADDR=192.0.2.1"}},
		{39, []string{"XCLIENT NAME=a.example", "XCLIENT LOGIN=a+20b+2Bc", "XCLIENT ADDR=192.0.2.1"}},
		{25, []string{"XCLIENT NAME=a.example", "XCLIENT LOGIN=a+20b+2Bc", "XCLIENT ADDR=192.0.2.1"}},
	} {
		got, err := smtp.SplitAttrs("XCLIENT", []smtp.Attr{name, login, addr}, c.max)
		if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
			t.Errorf("%d: %v\n%s", c.max, err, diff)
		}
	}
	if got, err := smtp.SplitAttrs("XCLIENT", []smtp.Attr{login}, 24); err == nil {
		t.Errorf("a line of 23 octets has room in 22: %q", got)
	}
	if got, err := smtp.SplitAttrs("XFORWARD", nil, 512); err != nil || len(got) > 0 {
		t.Errorf("nothing: %q, %v", got, err)
	}
}

func TestSplitAttrsRefuses(t *testing.T) {
	good := smtp.Attr{Name: "NAME", Value: "a.example"}
	for _, bad := range []smtp.Attr{{"", "a"}, {"A B", "a"}, {"A=", "a"}, {"A\r\n", "a"}, {"name", "b"},
		{"HELO", ""}, {"HELO", "a\r\nQUIT"}, {"HELO", "\x00"}, {"HELO", "\xff"}, {"HELO", strings.Repeat("a", 256)}, {"HELO", strings.Repeat("a", 80)},
		{"HELO", strings.Repeat("ü", 20)}} {
		for _, attrs := range [][]smtp.Attr{{good, bad}, {bad, good}} {
			if got, err := smtp.SplitAttrs("XCLIENT", attrs, 80); err == nil || got != nil {
				t.Errorf("%q: %q", attrs, got)
			}
		}
	}
}

func TestHostName(t *testing.T) {
	for name, want := range map[string]bool{
		"mx.example": true, "a": true, "3com.example": true, "1.2.3.4a": true, "x--y": true, "_a": true, strings.Repeat("l", 63): true,
		strings.Repeat("a.", 127) + "b": true, strings.Repeat("a.", 127) + "bc": false,
		"": false, ".": false, "a.": false, ".a": false, "-a": false, "a-.b": false, "1.2.3.4": false, "1": false, "a b": false, "a\n": false,
		"é.example": false, "a\x00": false, strings.Repeat("l", 64): false,
	} {
		if got := smtp.HostName(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}

func TestPrintable(t *testing.T) {
	for text, want := range map[string]bool{
		"": true, "a b~": true, "ü€😀": true, "e\u0301": true,
		"\t": false, "\r": false, "\n": false, "\x00": false, "\x1b": false, "\x7f": false, "\u0085": false, "\u00a0": false, "\u2028": false,
		"\u202e": false, "\u200b": false, "\ufeff": false, "\xff": false, "a\xc3": false, "\xed\xa0\x80": false,
	} {
		if got := smtp.Printable(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// FuzzAttrs holds that attributes can be written as they were read, in lines
// of any length, and that they are no danger to a line, a header or a log.
func FuzzAttrs(f *testing.F) {
	for _, s := range []string{"NAME=a.example ADDR=192.0.2.1", "a=+0D", "LOGIN=a+20b HELO=+C3+BC", "A=1 a=2", "=", "A= "} {
		f.Add([]byte(s), byte(0))
		f.Add([]byte(s), byte(30))
	}
	f.Fuzz(func(t *testing.T, in []byte, room byte) {
		attrs, err := smtp.ParseAttrs(in)
		if err != nil {
			if !smtp.Printable(err.Error()) || len(err.Error()) > 100 {
				t.Fatalf("%q cannot be told to a client", err)
			}
			return
		}
		for _, a := range attrs {
			if a.Name == "" || a.Value == "" || !smtp.Printable(a.Name+a.Value) || a.Name != strings.ToUpper(a.Name) {
				t.Fatalf("%q", a)
			}
		}
		limit := 512 + int(room)
		lines, err := smtp.SplitAttrs("XCLIENT", attrs, limit)
		if err != nil {
			return // longer than a line
		}
		var again []smtp.Attr
		for _, line := range lines {
			c := smtp.ParseCommand([]byte(line))
			part, err := smtp.ParseAttrs(c.Args)
			if err != nil || c.Verb != smtp.XCLIENT || len(line) > limit-2 {
				t.Fatalf("%q: %v", line, err)
			}
			again = append(again, part...)
		}
		if !slices.Equal(again, attrs) {
			t.Fatalf("%q became %q", attrs, again)
		}
	})
}
