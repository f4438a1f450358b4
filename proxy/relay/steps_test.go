package relay_test

import (
	"io"
	"strings"
	"testing"
)

const (
	hello    = "EHLO client.example\r\n"
	envelope = "MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\n"
	letter   = "Subject: test\r\n\r\n..dots\r\nand an end\r\n"
)

// steps is a client that sends each of its parts when the one before it has
// been answered, and then leaves.
func (p *play) steps(parts ...string) {
	p.more = func([]byte) ([]byte, error) {
		if len(parts) == 0 {
			return nil, io.EOF
		}
		next := parts[0]
		parts = parts[1:]
		return []byte(next), io.EOF
	}
}

// on makes the upstream answer differently to the first write whose usual
// answer begins with code.
func (p *play) on(code string, says string, then error) {
	before, done := p.answer, false
	p.answer = func(n int, usual string) (string, error) {
		if !done && strings.HasPrefix(usual, code) {
			done = true
			return says, then
		}
		return before(n, usual)
	}
}

// codes returns the codes of the replies that the client heard.
func (p *play) codes(t testing.TB) string {
	t.Helper()
	d, err := follow(nil, p.heard)
	if err != nil && len(d.replies) == 0 {
		t.Fatal(err)
	}
	var codes []string
	for _, r := range d.replies {
		codes = append(codes, string(r.Wire[:3]))
	}
	return strings.Join(codes, " ")
}

// wantCodes compares the codes of the replies that the client heard.
func (p *play) wantCodes(t testing.TB, want string) {
	t.Helper()
	if got := p.codes(t); got != want {
		t.Errorf("the client heard %s, want %s\n%s", got, want, p.heard)
	}
}
