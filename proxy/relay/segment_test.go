package relay_test

import (
	"os"
	"strings"
	"testing"
)

// However the octets are cut on their way, the replies are the same, and so is
// what the upstream gets.
func TestSegments(t *testing.T) {
	for name, client := range map[string]string{
		"text": hello + envelope + "DATA\r\n" + letter + ".\r\n" + envelope + "DATA\r\n.\r\nQUIT\r\n",
		"chunks": hello + envelope + "BDAT 7\r\nab\r\ncd\rBDAT 1\r\n\nBDAT 0 LAST\r\n" +
			envelope + "BDAT 4 LAST\r\nxy\r\nQUIT\r\n",
		"faults": hello + "NOOP\nNOOP\r\n" + envelope + "DATA\r\na\n.\r\n.\r\n" + envelope +
			"DATA\r\n.\r\r\n.\n\r\n.\r\nBLAH\r\nVR\x00FY\r\nQUIT\r\n",
		"auth":  hello + "AUTH LOGIN\r\nc2VjcmV0\r\nSTARTTLS\r\nQUIT\r\n",
		"helo":  "HELO c\r\nRSET\r\n" + envelope + "RSET\r\n" + "HELP\r\nQUIT\r\n",
		"empty": "\r\n\r\nQUIT\r\n",
	} {
		for _, cut := range []int{1, 2, 3, 7, 100} {
			t.Run(name, func(t *testing.T) {
				whole, cutUp := newPlay(t, client), newPlay(t, client)
				whole.answer, cutUp.answer = asWhole, asWhole
				cutUp.cut = cut
				whole.run(t)
				cutUp.run(t)
				if a, b := withoutID(whole.heard), withoutID(cutUp.heard); a != b {
					t.Errorf("in one piece the client heard\n%s\nin pieces of %d\n%s", a, cut, b)
				}
				for _, p := range []*play{whole, cutUp} {
					if _, err := p.check([]byte(client)); err != nil {
						t.Error(err)
					}
				}
				if a, b := whole.upstreamHas(), cutUp.upstreamHas(); a != b {
					t.Errorf("in one piece the upstream got\n%s\nin pieces of %d\n%s", a, cut, b)
				}
			})
		}
	}
}

// asWhole is an upstream that only answers.
func asWhole(_ int, usual string) (string, error) { return usual, os.ErrDeadlineExceeded }

// withoutID takes out what differs from session to session.
func withoutID(heard []byte) string {
	lines := strings.SplitAfter(string(heard), "\r\n")
	for i, line := range lines {
		lines[i], _, _ = strings.Cut(line, " (id ")
	}
	return strings.Join(lines, "")
}

// upstreamHas returns all commands and complete messages.
func (p *play) upstreamHas() string {
	var b strings.Builder
	for _, u := range p.up {
		b.WriteString(strings.Join(u.oracle.commands, "\n"))
		for _, m := range u.oracle.messages {
			b.WriteString("\n" + m.body)
		}
	}
	return b.String()
}
