package smtp_test

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/mailweir/mailweir/proxy/smtp"
)

// readLines reads all lines, and writes down each with its LF, and each fault.
func readLines(src io.Reader, max int) (got []string) {
	r := smtp.NewReader(src)
	for {
		line, err := r.ReadLine(max)
		var fault smtp.Fault
		switch {
		case err == nil:
			got = append(got, string(line)+"\n")
		case errors.As(err, &fault):
			got = append(got, string(fault))
			if fault == smtp.TooMuchJunk {
				return got
			}
		default:
			if err != io.EOF {
				got = append(got, err.Error())
			}
			return got
		}
	}
}

const (
	bareLF  = string(smtp.BareLF)
	bareCR  = string(smtp.BareCR)
	nul     = string(smtp.NUL)
	tooLong = string(smtp.LineTooLong)
	junk    = string(smtp.TooMuchJunk)
)

func TestReadLine(t *testing.T) {
	long := strings.Repeat("x", 600)
	for _, c := range []struct {
		name, in string
		want     []string
	}{
		{"lines", "A\r\nB c\r\n\r\n", []string{"A\n", "B c\n", "\n"}},
		{"no end", "A\r\nQUIT", []string{"A\n"}},
		{"half an end", "QUIT\r", nil},
		{"poisoned", "NOOP\nRCPT TO:<evil>\r\nQUIT\r\n", []string{bareLF, "QUIT\n"}},
		{"no CR at all", "A\nB\nC\n", []string{bareLF, bareLF, bareLF}},
		{"LF LF CRLF", "\n\n\r\nA\r\n", []string{bareLF, bareLF, "A\n"}},
		{"LF CR LF", "a\n\r\nB\r\n", []string{bareLF, "B\n"}},
		{"bare CR", "A\rB\r\nC\r\n", []string{bareCR, "C\n"}},
		{"CR CR LF", "A\r\r\nC\r\n", []string{bareCR, "C\n"}},
		{"NUL", "A\x00\r\nC\r\n", []string{nul, "C\n"}},
		{"CR NUL LF", "A\r\x00\nB\r\nC\r\n", []string{bareLF, "C\n"}},
		{"longest", long[:510] + "\r\nC\r\n", []string{long[:510] + "\n", "C\n"}},
		{"too long by one", long[:511] + "\r\nC\r\n", []string{tooLong, "C\n"}},
		{"too long", long + "\r\nC\r\n", []string{tooLong, "C\n"}},
		{"too long with CR", "a\r" + long + "\r\r\nC\r\n", []string{tooLong, "C\n"}},
		{"too long with LF", long + "\n" + long + "\r\nC\r\n", []string{bareLF, "C\n"}},
		{"LF, then too long", "a\n" + long + "\r\nC\r\n", []string{bareLF, "C\n"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for src := range segmentations(c.in) {
				desc := len(src)
				if got := readLines(&src, 512); !slices.Equal(got, c.want) {
					t.Fatalf("in %d parts:\n got %q\nwant %q", desc, got, c.want)
				}
			}
		})
	}
}

// First shows what a line begins with, and ReadLine has it all the same.
func TestFirst(t *testing.T) {
	for _, c := range []struct {
		in          string
		step        int
		first, line string
		err         error
	}{
		{"NOOP\r\n", 100, "NOOP\r\n", "NOOP", nil},
		{"NOOP\r\n", 1, "N", "NOOP", nil},
		{"\r\nNOOP\r\n", 100, "\r\nNOOP\r\n", "", nil},
		{"\x16\x03", 100, "\x16\x03", "", io.EOF},
		{"", 1, "", "", io.EOF},
	} {
		src := steps([]byte(c.in), c.step)
		r := smtp.NewReader(&src)
		for range 2 {
			if first, _ := r.First(); string(first) != c.first {
				t.Errorf("%q by %d: the first octets are %q, want %q", c.in, c.step, first, c.first)
			}
		}
		if line, err := r.ReadLine(512); string(line) != c.line || err != c.err {
			t.Errorf("%q by %d: the line is %q, %v", c.in, c.step, line, err)
		}
	}
}

// The rest of a bad line begins no line. A fault comes with what shows it.
func TestFirstInABadLine(t *testing.T) {
	r := smtp.NewReader(strings.NewReader("NOOP\n\x16\x03\r\nQUIT\r\n"))
	if line, err := r.ReadLine(512); err != smtp.BareLF || string(line) != "NOOP\n" {
		t.Errorf("%q, %v", line, err)
	}
	if first, err := r.First(); len(first) > 0 || err != nil {
		t.Errorf("the first octets are %q, %v", first, err)
	}
	if line, err := r.ReadLine(512); err != nil || string(line) != "QUIT" {
		t.Errorf("%q, %v", line, err)
	}
}

// Lines between the small buffer and the window are read whole.
func TestReadLineOfAnAUTH(t *testing.T) {
	for _, n := range []int{2046, 2047, 2048, 2049, 12286, 32766} {
		line := strings.Repeat("y", n)
		for _, step := range []int{1, 1000, 2048, 1 << 20} {
			src := steps([]byte(line+"\r\nQUIT\r\n"), step)
			if got := readLines(&src, n+2); !slices.Equal(got, []string{line + "\n", "QUIT\n"}) {
				t.Fatalf("%d octets by %d: %d lines", n, step, len(got))
			}
			src = steps([]byte(line+"\r\nQUIT\r\n"), step)
			if got := readLines(&src, n+1); !slices.Equal(got, []string{tooLong, "QUIT\n"}) {
				t.Fatalf("%d octets by %d, one too many: %.60q", n, step, got)
			}
		}
	}
}

// The bound on junk does not depend on how it arrives.
func TestTooMuchJunk(t *testing.T) {
	const bound = 1 << 20
	for _, c := range []struct {
		name, in string
		want     []string
	}{
		{"last octet", strings.Repeat("x", bound-2) + "\r\nA\r\n", []string{tooLong, "A\n"}},
		{"one more", strings.Repeat("x", bound-1) + "\r\nA\r\n", []string{junk}},
		{"no end", strings.Repeat("x", bound+1), []string{junk}},
		{"LF only", strings.Repeat(strings.Repeat("x", bound/4-1)+"\n", 5), []string{bareLF, bareLF, bareLF, bareLF, junk}},
	} {
		for _, step := range []int{61, 511, 4096, 1 << 21} {
			src := steps([]byte(c.in), step)
			if got := readLines(&src, 512); !slices.Equal(got, c.want) {
				t.Errorf("%s by %d: got %q, want %q", c.name, step, got, c.want)
			}
		}
	}
}

// Once the junk was too much, there is no way back.
func TestTooMuchJunkStays(t *testing.T) {
	src := steps([]byte(strings.Repeat("x\n", 1<<20)+"\r\nQUIT\r\n"), 4096)
	r := smtp.NewReader(&src)
	var err error
	for err != smtp.TooMuchJunk {
		if _, err = r.ReadLine(512); err == io.EOF {
			t.Fatal("never too much")
		}
	}
	for range 10000 {
		if _, err := r.ReadLine(512); err != smtp.TooMuchJunk {
			t.Fatalf("after too much junk: %v", err)
		}
	}
}

// flood is an endless source that remembers what it was asked for.
type flood struct {
	unit    string
	taken   int
	largest int // the largest buffer offered
	last    int // the last one
}

func (f *flood) Read(b []byte) (int, error) {
	f.largest, f.last = max(f.largest, len(b)), len(b)
	for i := range b {
		b[i] = f.unit[(f.taken+i)%len(f.unit)]
	}
	f.taken += len(b)
	return len(b), nil
}

func TestEndlessLine(t *testing.T) {
	for _, c := range []struct {
		max, largest int
	}{{512, 2 << 10}, {2 << 10, 2 << 10}, {12288, 32 << 10}, {32 << 10, 32 << 10}} {
		src := &flood{unit: "x"}
		if _, err := smtp.NewReader(src).ReadLine(c.max); err != smtp.TooMuchJunk {
			t.Errorf("max %d: %v", c.max, err)
		}
		if src.largest > c.largest || src.taken > 1<<20+64<<10 {
			t.Errorf("max %d: took %d octets, up to %d at once", c.max, src.taken, src.largest)
		}
	}
}

// The window is there while text is read, and gone after it.
func TestWindowAndRelease(t *testing.T) {
	src := &flood{unit: "NOOP\r\n"}
	r := smtp.NewReader(src)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := r.ReadLine(512)
	must(err)
	if src.largest > 2<<10 {
		t.Fatalf("a command had a buffer of %d octets", src.largest)
	}
	before := string(r.Pending())
	must(r.Fill())
	if !bytes.HasPrefix(r.Pending(), []byte(before)) || src.last != 32<<10-len(before) {
		t.Fatalf("Fill offered %d octets behind %d pending", src.last, len(before))
	}
	if err := r.Fill(); err != io.ErrNoProgress {
		t.Fatalf("Fill with a full window: %v", err)
	}
	r.Release() // does not fit: nothing may be lost
	if r.Buffered() != 32<<10 || !bytes.HasPrefix(r.Pending(), []byte(before)) {
		t.Fatalf("Release lost octets: %d left", r.Buffered())
	}
	r.Discard(r.Buffered() - 100)
	rest := string(r.Pending())
	r.Release()
	if string(r.Pending()) != rest {
		t.Fatalf("after Release: %q, want %q", r.Pending(), rest)
	}
	for range 100 { // the first line may lack its beginning
		if line, err := r.ReadLine(512); err == nil && !strings.HasSuffix("NOOP", string(line)) {
			t.Fatalf("%q %v", line, err)
		}
	}
	if src.last > 2<<10 {
		t.Fatalf("after Release a buffer of %d octets", src.last)
	}
}

// A whole dialogue: commands, text read in windows, pipelined commands behind.
func TestLinesAroundText(t *testing.T) {
	text := strings.Repeat("text\r\n", 20000)
	in := "DATA\r\n" + text + "RSET\r\nQUIT\r\n"
	for _, step := range []int{1, 5, 4096, len(in)} {
		src := steps([]byte(in), step)
		r := smtp.NewReader(&src)
		if line, err := r.ReadLine(512); string(line) != "DATA" || err != nil {
			t.Fatalf("%q %v", line, err)
		}
		var got []byte
		for len(got) < len(text) {
			if r.Buffered() == 0 {
				if err := r.Fill(); err != nil {
					t.Fatal(err)
				}
			}
			n := min(r.Buffered(), len(text)-len(got))
			got = append(got, r.Pending()[:n]...)
			r.Discard(n)
		}
		if string(got) != text {
			t.Fatal("the text is another")
		}
		r.Release()
		for _, want := range []string{"RSET", "QUIT"} {
			if line, err := r.ReadLine(512); string(line) != want || err != nil {
				t.Fatalf("by %d: %q %v", step, line, err)
			}
		}
	}
}

func TestIdleReadersAreSmall(t *testing.T) {
	const n = 500
	readers := make([]*smtp.Reader, n)
	grown := heapGrowth(func() {
		for i := range readers {
			src := parts{[]byte("DATA\r\n"), []byte("text"), []byte("QUIT\r\n")}
			r := smtp.NewReader(&src)
			r.ReadLine(512)
			r.Fill()
			r.Discard(r.Buffered())
			r.Release()
			readers[i] = r
		}
	})
	if grown > n*4<<10 {
		t.Errorf("an idle reader keeps %d octets", grown/n)
	}
	runtime.KeepAlive(readers)
}

func heapGrowth(f func()) int {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	f()
	runtime.GC()
	runtime.GC() // what pools keep outlives one
	runtime.ReadMemStats(&after)
	return int(after.HeapAlloc) - int(before.HeapAlloc)
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestReadLineErrors(t *testing.T) {
	for _, c := range []struct{ give, want error }{
		{io.ErrClosedPipe, io.ErrClosedPipe}, {nil, io.ErrNoProgress}, {io.EOF, io.EOF},
	} {
		if _, err := smtp.NewReader(failing{c.give}).ReadLine(512); err != c.want {
			t.Errorf("%v became %v", c.give, err)
		}
	}
}

func TestCommandPathDoesNotAllocate(t *testing.T) {
	r := smtp.NewReader(&flood{unit: "rcpt TO:<a@example.org>\r\n"})
	if n := testing.AllocsPerRun(1000, func() {
		line, err := r.ReadLine(512)
		if err != nil || smtp.ParseCommand(line).Verb != smtp.RCPT {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
