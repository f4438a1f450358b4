package smtp_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mailweir/mailweir/proxy/smtp"
)

// smuggled are ends of a text that some reader takes for one.
var smuggled = []string{
	"a\n.\nb", "a\n.\r\nb", "a\r\n.\nb", "a\r.\rb", "a\r.\r\nb", "a\r\n.\rb", "a\n.\rb", "a\r.\nb",
	"a\r\n\x00.\r\nb", "a\r\n.\x00\r\nb", "a\r\n.\r\x00\nb", "a\r\x00\n.\r\nb", "a\x00\n.\r\nb", "\x00.\r\nb",
	"a\r\r\n.\nb", "a\r\n.\r\r\nb", "a\n\r.\r\nb", "a\r\n.\n\rb", "a\n\n.\n\nb", "\n.\nb", ".\nb", ".\rb", "\r.\rb",
	"a\r\n..\nb", "a\n..\r\nb", "\n\x00.\nb", "\r\n.\x00.\nb", "\r\n.\x00\nb",
}

// reading is what became of a whole input.
type reading struct {
	wire, content string
	fault         smtp.Fault // the first one
	used          int
	end           bool
}

// readText reads the text as a session does, and checks each piece.
func readText(t *testing.T, text smtp.Text, src parts) (got reading) {
	t.Helper()
	var pending []byte
	for _, part := range src {
		pending = append(pending, part...)
		for len(pending) > 0 && !got.end {
			p := text.Next(pending)
			checkPiece(t, p, pending, got)
			got.used += p.Used
			got.end = p.End
			if got.fault == "" {
				got.wire += string(p.Wire)
				p.Content(func(b []byte) { got.content += string(b) })
				got.fault = p.Fault
			}
			pending = pending[p.Used:]
			if p.Used == 0 {
				break
			}
		}
	}
	return got
}

func checkPiece(t *testing.T, p smtp.Piece, in []byte, before reading) {
	t.Helper()
	atStart := before.wire == "" || strings.HasSuffix(before.wire, "\r\n")
	switch {
	case p.Used < 0 || p.Used > len(in):
		t.Fatalf("%q: used %d", in, p.Used)
	case p.Used == 0 && len(in) > 2:
		t.Fatalf("%q: no progress", in)
	case before.fault != "" && (len(p.Wire) > 0 || p.Fault != ""):
		t.Fatalf("%q: %q %q behind a fault", in, p.Wire, p.Fault)
	case before.fault == "" && len(p.Wire) > 0 && p.Start != atStart:
		t.Fatalf("%q: Start is %v behind %q", in, p.Start, before.wire)
	}
}

// check compares a reading with the slow one.
func check(t *testing.T, in string, lines, nul bool, src parts) {
	t.Helper()
	desc := fmt.Sprintf("%q cut %q FixLines %v FixNUL %v", in, src, lines, nul)
	got := readText(t, smtp.Text{FixLines: lines, FixNUL: nul}, src)
	end := strictEnd(in)
	if got.end != (end >= 0) || got.end && got.used != end || !got.end && len(in)-got.used > 2 {
		t.Fatalf("%s: end %v at %d, want %d", desc, got.end, got.used, end)
	}
	body := in
	if got.end {
		body = in[:end-len(".\r\n")]
	}
	judged := strings.TrimSuffix(body, "\r") // a last CR may yet have its LF
	if got.end {
		judged = body
	}
	if want := firstUnmended([]byte(judged), lines, nul); got.fault != want {
		t.Fatalf("%s: fault %q, want %q", desc, got.fault, want)
	}
	for _, at := range ends(got.wire) {
		if at >= 0 {
			t.Fatalf("%s: an end mark in %q", desc, got.wire)
		}
	}
	if fault := firstBad([]byte(got.wire)); fault != "" {
		t.Fatalf("%s: %s in %q", desc, fault, got.wire)
	}
	if unstuff(got.wire) != got.content {
		t.Fatalf("%s: content %q of %q", desc, got.content, got.wire)
	}
	if got.end && got.fault == "" {
		checkWhole(t, desc, got, fixed(unstuff(body), lines, nul))
	}
}

// checkWhole checks a text that may be passed on, with its end mark.
func checkWhole(t *testing.T, desc string, got reading, content string) {
	t.Helper()
	if got.content != content {
		t.Fatalf("%s: content %q, want %q", desc, got.content, content)
	}
	if got.wire != "" && !strings.HasSuffix(got.wire, "\r\n") {
		t.Fatalf("%s: wire %q does not end a line", desc, got.wire)
	}
	wire := got.wire + ".\r\n"
	for i, at := range ends(wire) {
		if at != len(wire) {
			t.Fatalf("%s: reader %d ends %q at %d", desc, i, wire, at)
		}
	}
}

func checkAll(t *testing.T, in string) {
	t.Helper()
	for flags := range 4 {
		for src := range segmentations(in) {
			check(t, in, flags&1 != 0, flags&2 != 0, src)
		}
	}
}

func TestSmuggling(t *testing.T) {
	for _, s := range smuggled {
		if got := readText(t, smtp.Text{}, parts{[]byte(s)}); got.fault == "" || got.end {
			t.Errorf("%q is taken: %+v", s, got)
		}
		checkAll(t, s)
		checkAll(t, s+"\r\n.\r\n")
		checkAll(t, s+"\r\n.\r\nQUIT\r\n")
	}
}

func TestText(t *testing.T) {
	for _, s := range []string{
		"", ".", ".\r", ".\r\n", "..\r\n.\r\n", "a\r\n.\r\n", "a\r\n.\r\n.\r\n", "a\r\n..b\r\n.\r\n", ".a\r\n.b\r\n.\r\n",
		"\r\n.\r\n", "a\r\n..\r\n...\r\n.\r\n", "a.\r\n.\r\n", "a\r\n\r\n.\r\n", "a\r", "a\r\n.", "a\r\n.\r", ".\r\r\n.\r\n",
		"no end", strings.Repeat("line\r\n..dots\r\n", 30) + ".\r\nQUIT\r\n",
	} {
		checkAll(t, s)
	}
}

// Many faults in a window must not cost a look at all of it each.
func TestTextOfFaultsIsLinear(t *testing.T) {
	for _, unit := range []string{"\r", "\x00", "\n", "x\ry"} {
		text, calls := smtp.Text{}, 0
		in := []byte(strings.Repeat(unit, 32<<10/len(unit)))
		for len(in) > 2 {
			in = in[text.Next(in).Used:]
			calls++
		}
		if calls > 3 {
			t.Errorf("%q: %d calls", unit, calls)
		}
	}
}

func FuzzText(f *testing.F) {
	for _, s := range smuggled {
		f.Add([]byte(s+"\r\n.\r\n"), []byte{0}, byte(0))
		f.Add([]byte(s+"\r\n.\r\nQUIT\r\n"), []byte{1, 0, 4}, byte(3))
	}
	f.Fuzz(func(t *testing.T, data, sizes []byte, flags byte) {
		check(t, string(data), flags&1 != 0, flags&2 != 0, cutBy(data, sizes))
	})
}
