package smtp_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/smtp"
)

// slowLines reads lines from the whole input: each CRLF ends one.
func slowLines(in string, max int) (got []string) {
	for {
		line, rest, ok := strings.Cut(in, "\r\n")
		lfs := strings.Count(line, "\n")
		if !ok {
			for range strings.Count(in, "\n") {
				got = append(got, bareLF)
			}
			return got
		}
		in = rest
		switch {
		case lfs > 0:
			for range lfs {
				got = append(got, bareLF)
			}
		case len(line)+2 > max:
			got = append(got, tooLong)
		case strings.Contains(line, "\r"):
			got = append(got, bareCR)
		case strings.Contains(line, "\x00"):
			got = append(got, nul)
		default:
			got = append(got, line+"\n")
		}
	}
}

func FuzzReadLine(f *testing.F) {
	for _, s := range []string{"NOOP\nRCPT TO:<evil>\r\nQUIT\r\n", "A\rB\r\n\x00\r\n", "0123456789012345678901234567890123456789\r\n\n\r\r\n"} {
		f.Add([]byte(s), []byte{0}, byte(20))
		f.Add([]byte(s), []byte{30, 2}, byte(0))
	}
	f.Fuzz(func(t *testing.T, data, sizes []byte, limit byte) {
		max := int(limit) + 2
		src := cutBy(data, sizes)
		if got, want := readLines(&src, max), slowLines(string(data), max); !slices.Equal(got, want) {
			t.Fatalf("max %d\n got %q\nwant %q", max, got, want)
		}
	})
}

func FuzzCommand(f *testing.F) {
	for _, s := range []string{"", " ", "EHLO a", "mail\tFROM:<> ", "XFORWARD", "StartTLS \t", "BDAT 1 LAST"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		c := smtp.ParseCommand(line)
		known := false
		for v := smtp.HELO; v <= smtp.XFORWARD; v++ {
			name := v.String()
			same := len(c.Word) == len(name) && strings.EqualFold(string(c.Word), name) // names are ASCII, so are equals of their length
			known = known || same
			if same != (c.Verb == v) {
				t.Fatalf("%q is %v", c.Word, c.Verb)
			}
		}
		if !known && c.Verb != smtp.Unknown || bytes.ContainsAny(c.Word, " \t") || len(bytes.Trim(c.Args, " \t")) != len(c.Args) {
			t.Fatalf("%v %q %q", c.Verb, c.Word, c.Args)
		}
		again := smtp.ParseCommand(slices.Concat(c.Word, []byte(" "), c.Args))
		if again.Verb != c.Verb || !bytes.Equal(again.Word, c.Word) || !bytes.Equal(again.Args, c.Args) {
			t.Fatalf("%q is read again as %q %q", line, again.Word, again.Args)
		}
		if chunk, ok := smtp.ParseChunk(c.Args); ok && chunk.Size < 0 {
			t.Fatal(chunk)
		}
	})
}

func FuzzPath(f *testing.F) {
	for _, s := range []string{"<>", "<a@b> SIZE=1", `<"a\"\\ >@"@b> X`, "<@r,@s:a@[IPv6:::1]>", "<postmaster>", "<ü@ü> SMTPUTF8", "<a@[192.0.2.1]> A=b=c B"} {
		f.Add([]byte("FROM:"+s), false)
		f.Add([]byte("TO:"+s), true)
	}
	f.Fuzz(func(t *testing.T, args []byte, utf8 bool) {
		var p, again filters.Path
		var a smtp.Arena
		read, prefix := smtp.ParseMail, "FROM:"
		if bytes.HasPrefix(bytes.ToUpper(args), []byte("TO:")) {
			prefix = "TO:"
			read = func(args []byte, p *filters.Path, a *smtp.Arena) error { return smtp.ParseRcpt(args, utf8, p, a) }
		}
		if read(bytes.Clone(args), &p, &a) != nil {
			return
		}
		for _, s := range []string{p.Raw, p.Params, p.Local, p.Domain} {
			if smtp.Clean(s) != s || strings.Contains(s, "\t") || strings.ToValidUTF8(s, "") != s {
				t.Fatalf("%q: %+v", args, p)
			}
		}
		wire := strings.TrimSuffix(prefix+p.Raw+" "+p.Params, " ")
		if err := read([]byte(wire), &again, &a); err != nil || again != p {
			t.Fatalf("%q: %+v\nread again %v: %+v", args, p, err, again)
		}
		if p.Null() != (p.Raw == "<>") || p.Domain != "" && !strings.HasSuffix(p.Raw, "@"+p.Domain+">") {
			t.Fatalf("%q: %+v", args, p)
		}
	})
}
