package smtp_test

import (
	"slices"
	"testing"

	"github.com/mailweir/mailweir/proxy/smtp"
)

func TestParseChunk(t *testing.T) {
	for _, c := range []struct {
		args string
		want smtp.Chunk
		ok   bool
	}{
		{"0", smtp.Chunk{}, true},
		{"0 LAST", smtp.Chunk{Last: true}, true},
		{"86 last", smtp.Chunk{Size: 86, Last: true}, true},
		{"86   LAST", smtp.Chunk{Size: 86, Last: true}, true},
		{"999999999999999999", smtp.Chunk{Size: 999999999999999999}, true},
		{args: ""}, {args: " "}, {args: "LAST"}, {args: "-1"}, {args: "+1"}, {args: "1x"}, {args: "0x10"}, {args: "1.0"},
		{args: "1 2"}, {args: "1 LASTS"}, {args: "1 LAST LAST"}, {args: "1\tLAST"}, {args: "1 \tLAST"},
		{args: "1000000000000000000"}, {args: "18446744073709551617"},
		{args: "5 LAſT"}, {args: "5 \u00a0LAST"}, {args: "5 \vLAST"}, {args: "5 LAST\r"},
	} {
		got, ok := smtp.ParseChunk([]byte(c.args))
		if ok != c.ok || ok && got != c.want {
			t.Errorf("%q: %+v %v", c.args, got, ok)
		}
		if !ok {
			continue
		}
		cmd := smtp.ParseCommand(trimEOL(smtp.AppendChunk(nil, got)))
		if again, ok := smtp.ParseChunk(cmd.Args); cmd.Verb != smtp.BDAT || !ok || again != got {
			t.Errorf("%+v is written as %q", got, cmd.Args)
		}
	}
}

func trimEOL(b []byte) []byte { return b[:len(b)-2] }

// firstBad is the slow reading of what must not be in text.
func firstBad(s []byte) smtp.Fault { return firstUnmended(s, false, false) }

func firstUnmended(s []byte, lines, nul bool) smtp.Fault {
	for i, c := range s {
		switch {
		case c == 0 && !nul:
			return smtp.NUL
		case lines:
		case c == '\n' && (i == 0 || s[i-1] != '\r'):
			return smtp.BareLF
		case c == '\r' && (i+1 == len(s) || s[i+1] != '\n'):
			return smtp.BareCR
		}
	}
	return ""
}

func checkChunks(p parts) smtp.Fault {
	var text smtp.ChunkText
	for _, b := range p {
		if fault := text.Check(b); fault != "" {
			return fault
		}
	}
	return text.End()
}

func TestChunkText(t *testing.T) {
	for _, s := range append(slices.Clone(smuggled), "", "a", "a\r\n", "a\r\nb", "\r\n.\r\n", "\r", "a\r\r\n", "a\rb", "\r\n\r\n") {
		for p := range segmentations(s) {
			if got, want := checkChunks(p), firstBad([]byte(s)); got != want {
				t.Fatalf("%q in %q: %q, want %q", s, p, got, want)
			}
		}
	}
}

func FuzzChunkText(f *testing.F) {
	for _, s := range smuggled {
		f.Add([]byte(s), []byte{0, 2})
	}
	f.Add([]byte("a\r\nb\r\n"), []byte{2})
	f.Fuzz(func(t *testing.T, data, sizes []byte) {
		if got, want := checkChunks(cutBy(data, sizes)), firstBad(data); got != want {
			t.Fatalf("%q, want %q", got, want)
		}
	})
}
