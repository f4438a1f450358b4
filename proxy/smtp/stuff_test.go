package smtp_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/mailweir/mailweir/proxy/smtp"
)

func TestStuff(t *testing.T) {
	long := strings.Repeat("x", 40<<10)
	for _, c := range []struct{ content, wire string }{
		{"", ".\r\n"},
		{"a\r\n", "a\r\n.\r\n"},
		{"a", "a\r\n.\r\n"},
		{"a\r", "a\r\r\n.\r\n"},
		{".\r\n", "..\r\n.\r\n"},
		{".", "..\r\n.\r\n"},
		{"..a\r\n.b\r\n", "...a\r\n..b\r\n.\r\n"},
		{"a\r\n\r\n.\r\n", "a\r\n\r\n..\r\n.\r\n"},
		{long + "\r\n.", long + "\r\n..\r\n.\r\n"},
		{strings.Repeat("y", 32<<10-2) + "\r\n.z\r\n", strings.Repeat("y", 32<<10-2) + "\r\n..z\r\n.\r\n"},
		{strings.Repeat("y", 32<<10-1) + "\r\n.z\r\n", strings.Repeat("y", 32<<10-1) + "\r\n..z\r\n.\r\n"},
	} {
		var out bytes.Buffer
		if err := smtp.Stuff(&out, iotest.OneByteReader(strings.NewReader(c.content))); err != nil {
			t.Fatal(err)
		}
		if out.String() != c.wire {
			t.Errorf("Stuff(%.20q...) = %.60q (%d octets)", c.content, out.String(), out.Len())
		}
	}
}

// TestStuffCutOff holds a text whose source fails to have no end.
func TestStuffCutOff(t *testing.T) {
	fails := errors.New("disk on fire")
	var out bytes.Buffer
	src := iotest.DataErrReader(&cutOff{data: []byte("Subject: x\r\n\r\nhalf"), err: fails})
	if err := smtp.Stuff(&out, src); !errors.Is(err, fails) {
		t.Fatalf("Stuff = %v", err)
	}
	if strings.Contains(out.String(), "\r\n.\r\n") {
		t.Errorf("wrote an end: %q", out.String())
	}
}

type cutOff struct {
	data []byte
	err  error
}

func (f *cutOff) Read(p []byte) (int, error) {
	if len(f.data) == 0 {
		return 0, f.err
	}
	n := copy(p, f.data)
	f.data = f.data[n:]
	return n, nil
}

// FuzzStuff holds what Stuff writes to read back as what it was given.
func FuzzStuff(f *testing.F) {
	f.Add("a\r\n.b\r\n")
	f.Add(".\r\n..\r\n")
	f.Fuzz(func(t *testing.T, lines string) {
		content := strings.ReplaceAll(strings.NewReplacer("\r", "", "\x00", "").Replace(lines), "\n", "\r\n")
		if content != "" && !strings.HasSuffix(content, "\r\n") {
			content += "\r\n"
		}
		var wire bytes.Buffer
		if err := smtp.Stuff(&wire, strings.NewReader(content)); err != nil {
			t.Fatal(err)
		}
		var back bytes.Buffer
		var text smtp.Text
		for in := wire.Bytes(); ; {
			p := text.Next(in)
			if p.Fault != "" || p.Used == 0 {
				t.Fatalf("%q: fault %q, used %d of %d", wire.String(), p.Fault, p.Used, len(in))
			}
			p.Content(func(b []byte) { back.Write(b) })
			in = in[p.Used:]
			if p.End {
				if len(in) > 0 {
					t.Fatalf("%q ends early", wire.String())
				}
				break
			}
		}
		if back.String() != content {
			t.Errorf("%q came back as %q", content, back.String())
		}
	})
}
