package rules_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/mailweir/mailweir/filters"
)

const attachmentRule = "rules:\n  - { name: r, match: { attachment.name: a.exe }, then: reject }\n"

// TestContentLimits holds messages that are too much to be failures, which
// on_error settles, and not to pass.
func TestContentLimits(t *testing.T) {
	p := parse(t, []byte(attachmentRule))
	part := func(head, body string) string { return "--b\r\n" + head + "\r\n\r\n" + body + "\r\n" }
	mixed := "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
	nested := ""
	for i := range 25 {
		nested += fmt.Sprintf("Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
	}
	for _, c := range []struct{ name, message, want string }{
		{"parts", mixed + strings.Repeat(part("Content-Type: text/plain", "x"), 1001), "more than 1000 parts"},
		{"depth", nested, "parts within parts"},
		{"messages", strings.Repeat("Content-Type: message/rfc822\r\n\r\n", 25), "parts within parts"},
		{"head", mixed + "--b\r\n" + strings.Repeat("X-Filler: "+strings.Repeat("y", 900)+"\r\n", 1200), "header section"},
		{"within limits", mixed + strings.Repeat(part("Content-Type: text/plain", "x"), 990) + part("Content-Type: text/plain; name=a.exe", "x"), "550"},
	} {
		if got := verdictOn(t, p, c.message); !strings.Contains(got, c.want) {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestLongLines holds a name far out in a line to be found.
func TestLongLines(t *testing.T) {
	p := parse(t, []byte(attachmentRule))
	message := "Content-Disposition: attachment;" + strings.Repeat(" ", 20000) + "filename=a.exe\r\n\r\n" + strings.Repeat("x", 1<<20)
	if got := verdictOn(t, p, message); !strings.Contains(got, "reject r") {
		t.Error(got)
	}
}

func verdictOn(t *testing.T, p interface {
	filters.BodyFilter
	filters.MessageFilter
}, message string) string {
	t.Helper()
	tx := begin(t, "a@example.net")
	sink := p.Body(t.Context(), tx)
	if _, err := sink.Write([]byte(message)); err != nil && !errors.Is(err, filters.ErrSkip) {
		t.Fatal(err)
	}
	v := p.Message(t.Context(), tx)
	if v.Finding != nil && v.Finding.Err == nil && v.Finding.Reply.Code == 0 {
		return "550 " + show(v)
	}
	return show(v)
}

// TestSkips holds the sink to stop when nothing can follow that counts.
func TestSkips(t *testing.T) {
	text := "rules:\n  - { name: r, match: { body: { contains: x } }, then: reject }\n"
	long := strings.Repeat(strings.Repeat("y", 78)+"\r\n", 4096)
	for _, c := range []struct {
		name, rules, message string
		skips                bool
	}{
		{"no attachment can follow", attachmentRule, "Subject: x\r\n\r\ntext\r\n", true},
		{"one can", attachmentRule, "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n" + long, false},
		{"the text begins", text, "Subject: x\r\n\r\ntext\r\n", false},
		{"the text is long", text, "Subject: x\r\n\r\n" + long, true},
		{"no text", text, "Content-Type: image/png\r\n\r\nx\r\n", true},
		{"the text of parts is long", text, "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n" + long + long, true},
	} {
		sink := parse(t, []byte(c.rules)).Body(t.Context(), begin(t, "a@example.net"))
		_, err := sink.Write([]byte(c.message))
		if errors.Is(err, filters.ErrSkip) != c.skips {
			t.Errorf("%s: error %v", c.name, err)
		}
	}
}
