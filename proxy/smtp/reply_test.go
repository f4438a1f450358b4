package smtp_test

import (
	"errors"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/smtp"
)

func TestAppendReply(t *testing.T) {
	enh := [3]uint16{5, 7, 1}
	x := strings.Repeat("x", 490)
	for _, c := range []struct {
		reply filters.Reply
		want  string
	}{
		{filters.Reply{Code: 250, Text: "ok"}, "250 ok\r\n"},
		{filters.Reply{Code: 250}, "250 \r\n"},
		{filters.Reply{Code: 550, Enh: enh, Text: "no"}, "550 5.7.1 no\r\n"},
		{filters.Reply{Code: 550, Enh: enh, Text: "a\n\nb"}, "550-5.7.1 a\r\n550-5.7.1 \r\n550 5.7.1 b\r\n"},
		{filters.Reply{Code: 550, Text: "a\r\n250 ok\x00\x7f\x1b"}, "550-a?\r\n550 250 ok???\r\n"},
		{filters.Reply{Code: 550, Text: "a\tb"}, "550 a\tb\r\n"},
		{filters.Reply{Code: 550, Text: x}, "550 " + x + "\r\n"},
		{filters.Reply{Code: 550, Text: x + "y\nz"}, "550-" + x + "\r\n550-y\r\n550 z\r\n"},
		{filters.Reply{Code: 550, Text: x[1:] + "üz"}, "550-" + x[1:] + "\r\n550 üz\r\n"},
		{filters.Reply{Code: 550, Text: x[3:] + "😀"}, "550-" + x[3:] + "\r\n550 😀\r\n"},
	} {
		if got := string(smtp.AppendReply([]byte("before"), c.reply)); got != "before"+c.want {
			t.Errorf("%.60q:\n got %q\nwant %q", c.reply.Text, got, c.want)
		}
	}
}

func TestClean(t *testing.T) {
	if got := smtp.Clean("a\r\nb\x00\tü\x7f\x1b[2J"); got != "a??b?\tü??[2J" {
		t.Errorf("%q", got)
	}
}

// readReplies writes down every reply until the first error, and that.
func readReplies(src io.Reader) (got []string, last error) {
	r := smtp.NewReplyReader(src)
	for {
		reply, err := r.ReadReply()
		if err != nil {
			return got, err
		}
		s := string(reply.Wire)
		if !reply.Full {
			s = "bare " + s
		}
		got = append(got, s)
		if s := string(reply.Wire[:3]); reply.Code != int(s[0]-'0')*100+int(s[1]-'0')*10+int(s[2]-'0') ||
			reply.Class() != int(s[0]-'0') {
			return got, errors.New("code and wire differ")
		}
		r.Release()
	}
}

func TestReadReply(t *testing.T) {
	line := func(n int) string { return "250 " + strings.Repeat("x", n-6) + "\r\n" }
	for _, c := range []struct {
		name, in string
		want     []string
		last     error
	}{
		{"none", "", nil, io.EOF},
		{"one", "250 ok\r\n", []string{"250 ok\r\n"}, io.EOF},
		{"many", "250 a\r\n354 b\r\n", []string{"250 a\r\n", "354 b\r\n"}, io.EOF},
		{"multi-line", "250-a\r\n250-\r\n250 c\r\n", []string{"250-a\r\n250-\r\n250 c\r\n"}, io.EOF},
		{"digits only", "250\r\n", []string{"bare 250\r\n"}, io.EOF},
		{"digits only at the end", "250-a\r\n250\r\n", []string{"bare 250-a\r\n250\r\n"}, io.EOF},
		{"no text", "250 \r\n", []string{"250 \r\n"}, io.EOF},
		{"lowest, highest", "200 a\r\n559 b\r\n", []string{"200 a\r\n", "559 b\r\n"}, io.EOF},
		{"controls", "250 a\rb\x00c\x1b\r\n", []string{"250 a?b?c?\r\n"}, io.EOF},
		{"longest line", line(4096), []string{line(4096)}, io.EOF},
		{"mixed codes", "550-a\r\n250 b\r\n", nil, smtp.BadReply},
		{"cut off", "250 o", nil, io.ErrUnexpectedEOF},
		{"half its end", "250 o\r", nil, io.ErrUnexpectedEOF},
		{"continuation missing", "250-a\r\n", nil, io.ErrUnexpectedEOF},
		{"left over, cut", "250 a\r\n25", []string{"250 a\r\n"}, io.ErrUnexpectedEOF},
		{"garbage", "hello\r\n", nil, smtp.BadReply},
		{"empty line", "\r\n", nil, smtp.BadReply},
		{"bare LF", "250 ok\n", nil, smtp.BadReply},
		{"bare LF within", "250-a\n250 b\r\n", nil, smtp.BadReply},
		{"two digits", "25\r\n", nil, smtp.BadReply},
		{"four digits", "2500\r\n", nil, smtp.BadReply},
		{"no separator", "250ok\r\n", nil, smtp.BadReply},
		{"tab", "250\tok\r\n", nil, smtp.BadReply},
		{"space before", " 250 ok\r\n", nil, smtp.BadReply},
		{"sign", "+25 ok\r\n", nil, smtp.BadReply},
		{"000", "000 a\r\n", nil, smtp.BadReply},
		{"150", "150 a\r\n", nil, smtp.BadReply},
		{"560", "560 a\r\n", nil, smtp.BadReply},
		{"600", "600 a\r\n", nil, smtp.BadReply},
		{"999", "999 a\r\n", nil, smtp.BadReply},
		{"line too long", line(4097), nil, smtp.ReplyTooLong},
		{"no end", strings.Repeat("2", 1<<20), nil, smtp.ReplyTooLong},
		{"endless lines", strings.Repeat("250-a\r\n", 10000), nil, smtp.ReplyTooLong},
	} {
		t.Run(c.name, func(t *testing.T) {
			for src := range segmentations(c.in) {
				desc := len(src)
				if got, last := readReplies(&src); !slices.Equal(got, c.want) || last != c.last {
					t.Fatalf("in %d parts: got %.200q %v, want %.200q %v", desc, got, last, c.want, c.last)
				}
			}
		})
	}
}

func TestReplyBounds(t *testing.T) {
	src := &flood{unit: "250-hello\r\n"}
	if _, err := smtp.NewReplyReader(src).ReadReply(); err != smtp.ReplyTooLong {
		t.Error(err)
	}
	if src.taken > 64<<10 {
		t.Errorf("took %d octets", src.taken)
	}
	if _, err := smtp.NewReplyReader(failing{io.ErrClosedPipe}).ReadReply(); err != io.ErrClosedPipe {
		t.Error(err)
	}
}

func TestLeftOverReplies(t *testing.T) {
	src := parts{[]byte("220 a\r\n250 b\r\n25"), []byte("0 c\r\n")}
	r := smtp.NewReplyReader(&src)
	for _, want := range []struct {
		wire string
		left int
	}{{"220 a\r\n", 9}, {"250 b\r\n", 2}, {"250 c\r\n", 0}} {
		reply, err := r.ReadReply()
		if err != nil || string(reply.Wire) != want.wire || r.Buffered() != want.left {
			t.Fatalf("%q %v, %d left", reply.Wire, err, r.Buffered())
		}
		r.Release() // must not lose what is left over
	}
}

func TestIdleReplyReadersAreSmall(t *testing.T) {
	const n = 500
	readers := make([]*smtp.ReplyReader, n)
	grown := heapGrowth(func() {
		for i := range readers {
			r := smtp.NewReplyReader(&parts{[]byte("250 ok\r\n")})
			r.ReadReply()
			r.Release()
			readers[i] = r
		}
	})
	if grown > n*2<<10 {
		t.Errorf("an idle reader keeps %d octets", grown/n)
	}
	runtime.KeepAlive(readers)
}

func TestReplyOfServer(t *testing.T) {
	for _, text := range []string{"", "ok", "5.1.1 no\nsuch\nuser", "\nb", "a\n", "\n\n"} {
		wire := smtp.AppendReply(nil, filters.Reply{Code: 450, Text: text})
		reply, err := smtp.NewReplyReader(&parts{wire}).ReadReply()
		if got := reply.Reply(); err != nil || got.Code != 450 || got.Text != text {
			t.Errorf("%q became %+v, %v", text, got, err)
		}
	}
}

func FuzzReply(f *testing.F) {
	for _, s := range []string{"250 ok\r\n", "250-a\r\n250 b\r\n220\r\n", "550-a\r\n250 b\r\n", "250 a\rb\x00\r\n25", "\n", "999 x\r\n"} {
		f.Add([]byte(s), []byte{0, 3})
	}
	f.Fuzz(func(t *testing.T, data, sizes []byte) {
		src, whole := cutBy(data, sizes), cutBy(data, nil)
		got, err := readReplies(&src)
		want, wantErr := readReplies(&whole)
		if !slices.Equal(got, want) || err != wantErr {
			t.Fatalf("cut: %q %v\nwhole: %q %v", got, err, want, wantErr)
		}
		for _, s := range got {
			wire := strings.TrimPrefix(s, "bare ")
			checkReply(t, wire)
			again, err := readReplies(&parts{[]byte(wire)})
			if err != io.EOF || len(again) != 1 || again[0] != s {
				t.Fatalf("%q is read again as %q %v", s, again, err)
			}
		}
	})
}

// checkReply checks the form of one reply's lines.
func checkReply(t *testing.T, wire string) {
	t.Helper()
	rest, ok := strings.CutSuffix(wire, "\r\n")
	lines := strings.Split(rest, "\r\n")
	for i, line := range lines {
		last := i == len(lines)-1
		ok = ok && len(line) >= 3 && line[:3] == lines[0][:3] && !strings.ContainsAny(line, "\r\n\x00\x1b\x7f")
		ok = ok && (len(line) == 3 && last || len(line) > 3 && line[3] == map[bool]byte{true: ' ', false: '-'}[last])
	}
	if !ok {
		t.Fatalf("malformed: %q", wire)
	}
}

func FuzzAppendReply(f *testing.F) {
	f.Add(uint16(550), uint16(1), "no\r\n250 ok")
	f.Add(uint16(250), uint16(0), strings.Repeat("ü", 600))
	f.Add(uint16(450), uint16(7), strings.Repeat("\x80", 600)+"\n\n\x00")
	f.Fuzz(func(t *testing.T, code, enh uint16, text string) {
		code = 200 + code%360
		reply := filters.Reply{Code: code, Text: text}
		if enh > 0 {
			reply.Enh = [3]uint16{code / 100, enh % 1000, enh % 1000}
		}
		wire := string(smtp.AppendReply(nil, reply))
		checkReply(t, wire)
		var joined strings.Builder
		for _, line := range strings.Split(strings.TrimSuffix(wire, "\r\n"), "\r\n") {
			if len(line) > 510 || utf8.ValidString(text) && !utf8.ValidString(line) {
				t.Fatalf("line %q", line)
			}
			line = line[4:]
			if enh > 0 {
				_, line, _ = strings.Cut(line, " ")
			}
			joined.WriteString(line)
		}
		if want := smtp.Clean(strings.ReplaceAll(text, "\n", "")); joined.String() != want {
			t.Fatalf("got %q, want %q", joined.String(), want)
		}
	})
}
