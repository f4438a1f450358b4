package relay_test

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
)

// smuggles are texts that some readers end earlier, or read otherwise.
var smuggles = map[string]string{
	"LF.LF":       "a\n.\nMAIL FROM:<e@v.il>\r\n",
	"CRLF.LF":     "a\r\n.\nMAIL FROM:<e@v.il>\r\n",
	"LF.CRLF":     "a\n.\r\nMAIL FROM:<e@v.il>\r\n",
	"CR.CR":       "a\r.\rMAIL FROM:<e@v.il>\r\n",
	"CRLF.CR":     "a\r\n.\rMAIL FROM:<e@v.il>\r\n",
	"CRLF.CRCRLF": "a\r\n.\r\r\nMAIL FROM:<e@v.il>\r\n",
	"NUL":         "a\r\n\x00.\r\nMAIL FROM:<e@v.il>\r\n",
	"NUL in mark": "a\r\n.\x00\r\nMAIL FROM:<e@v.il>\r\n",
}

// Such texts are refused as one message, with DATA and BDAT alike, and the
// upstream does not get them.
func TestSmuggling(t *testing.T) {
	for name, text := range smuggles {
		for _, content := range []string{
			"DATA\r\n" + text + ".\r\n",
			fmt.Sprintf("BDAT %d LAST\r\n%s", len(text), text),
			fmt.Sprintf("BDAT %d LAST\r\nab\r", len("ab\r")),
		} {
			p := newPlay(t, hello+envelope+content+"QUIT\r\n")
			p.run(t)
			codes := p.codes(t)
			if !strings.HasSuffix(codes, "550 221") {
				t.Errorf("%s: the client heard %s", name, codes)
			}
			if n := len(p.up[0].oracle.messages); n > 0 {
				t.Errorf("%s: the upstream has %d messages", name, n)
			}
		}
	}
}

// Where the configuration says so they are mended, and still one message.
func TestMended(t *testing.T) {
	for name, text := range smuggles {
		p := newPlay(t, hello+envelope+"DATA\r\n"+text+".\r\nQUIT\r\n")
		p.options.FixLines, p.options.FixNUL = true, true
		p.run(t)
		p.wantCodes(t, "220 250 250 250 354 250 221")
		if n := len(p.up[0].oracle.messages); n != 1 {
			t.Errorf("%s: the upstream has %d messages", name, n)
		}
	}
}

// DATA and the end of data have answers that look good and are not.
func TestNoAnswer(t *testing.T) {
	for says, want := range map[string]string{
		"250\r\n":              "451 221", // cut short, for all we know
		"250-Ok\r\n250\r\n":    "451 221",
		"250 \r\n":             "250 221",
		"251 2.0.0 Taken\r\n":  "251 221",
		"354 Go on\r\n":        "451 221",
		"250 a\r\n421 bye\r\n": "250 221",
	} {
		p := newPlay(t, hello+envelope+"DATA\r\n"+letter+".\r\nQUIT\r\n")
		p.on("250 2.0.0 Queued", says, io.EOF)
		p.run(t)
		p.wantCodes(t, "220 250 250 250 354 "+want)
	}
	for _, says := range []string{"250 Ok\r\n", "200\r\n", "334 a\r\n"} {
		p := newPlay(t, "")
		p.on("354", says, os.ErrDeadlineExceeded)
		p.steps(hello+envelope, "DATA\r\n", letter+".\r\n")
		p.run(t)
		p.wantCodes(t, "220 250 250 250 421")
	}
}

// A held message goes on with DATA: in binary it could hold any end of it.
func TestNoBinaryWhenHeld(t *testing.T) {
	chunk := "a\n.\nMAIL FROM:<e@v.il>\r\n"
	p := newPlay(t, hello+"MAIL FROM:<a@x.example> BODY=BINARYMIME\r\n"+
		fmt.Sprintf("BDAT %d LAST\r\n%sQUIT\r\n", len(chunk), chunk))
	p.hold(t)
	p.run(t)
	p.wantCodes(t, "220 250 555 503 221")
	if strings.Contains(string(p.heard), "BINARYMIME\r\n") {
		t.Errorf("the client heard %q", p.heard)
	}
}
