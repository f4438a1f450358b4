package smtp_test

import (
	"strings"
	"testing"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/smtp"
)

func BenchmarkText(b *testing.B) {
	for _, c := range []struct{ name, line string }{
		{"76", strings.Repeat("x", 74) + "\r\n"},
		{"998", strings.Repeat("x", 996) + "\r\n"},
		{"32K", strings.Repeat("x", 32<<10-2) + "\r\n"},
		{"dots", "." + strings.Repeat("x", 73) + "\r\n"},
		{"fixed", strings.Repeat("x", 75) + "\n"},
	} {
		b.Run(c.name, func(b *testing.B) {
			window := []byte(strings.Repeat(c.line, 32<<10/len(c.line)))
			text := smtp.Text{FixLines: true}
			b.SetBytes(int64(len(window)))
			b.ReportAllocs()
			for b.Loop() {
				text.Next(window)
			}
		})
	}
}

// endless yields its lines for ever, as many whole ones as fit.
type endless string

func (e endless) Read(b []byte) (int, error) {
	n := min(len(b), len(e))
	return copy(b, e[:1+strings.LastIndexByte(string(e[:n]), '\n')]), nil
}

func BenchmarkCommand(b *testing.B) {
	for _, line := range []string{"HELO x\r\n", "RCPT TO:<user@example.org>\r\n", "XFORWARD x\r\n", "xyzzy\r\n"} {
		b.Run(strings.Fields(line)[0], func(b *testing.B) {
			r := smtp.NewReader(endless(strings.Repeat(line, 50)))
			b.ReportAllocs()
			for b.Loop() {
				line, _ := r.ReadLine(512)
				smtp.ParseCommand(line)
			}
		})
		b.Run(strings.Fields(line)[0]+"/parse", func(b *testing.B) {
			line := []byte(strings.TrimSpace(line))
			for b.Loop() {
				smtp.ParseCommand(line)
			}
		})
	}
}

func BenchmarkParseRcpt(b *testing.B) {
	var p filters.Path
	var a smtp.Arena
	args := []byte("TO:<some.user+tag@mail.example.org> NOTIFY=NEVER")
	b.ReportAllocs()
	for b.Loop() {
		if smtp.ParseRcpt(args, false, &p, &a) != nil {
			b.Fatal()
		}
	}
}
