package relay_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

// model is a client that obeys the protocol and is otherwise as it likes: it
// groups commands, cuts what it sends anywhere, gives up, or just leaves.
type model struct {
	*rand.Rand
	sent    strings.Builder
	owed    int // replies, the greeting included
	pending []string
	chunks  bool // in a message of BDAT
	fault   string
}

// next is a play's more: all that is owed must have come before the relay
// reads on.
func (m *model) next(heard []byte) ([]byte, error) {
	if len(m.pending) == 0 {
		codes := codesOf(heard)
		if len(codes) != m.owed {
			m.fault = fmt.Sprintf("%d replies, want %d: %q", len(codes), m.owed, heard)
			return nil, io.EOF
		}
		if m.IntN(40) == 0 {
			return nil, io.EOF
		}
		m.cut(m.part(codes))
	}
	part := m.pending[0]
	m.pending = m.pending[1:]
	m.sent.WriteString(part)
	return []byte(part), io.EOF
}

// cut divides what is to be sent, sometimes.
func (m *model) cut(s string) {
	for m.IntN(2) == 0 && len(s) > 1 {
		n := 1 + m.IntN(len(s)-1)
		m.pending, s = append(m.pending, s[:n]), s[n:]
	}
	m.pending = append(m.pending, s)
}

// part chooses what to send after the replies so far.
func (m *model) part(codes []string) string {
	last := codes[len(codes)-1]
	switch {
	case m.owed == 1:
		return m.say("EHLO client.example")
	case last == "354":
		return m.text()
	case m.chunks && last[0] == '2':
		return m.chunk()
	case m.chunks:
		m.chunks = false
		return m.say("RSET")
	}
	switch m.IntN(8) {
	case 0:
		return m.say([]string{"NOOP", "VRFY x", "HELP", "RSET", "EHLO again.example", "STARTTLS", "BLAH"}[m.IntN(7)])
	case 1:
		return m.say("QUIT")
	case 2:
		m.chunks = true
		return m.envelope() + m.chunk()
	case 3:
		return m.envelope() + m.say("RSET")
	}
	return m.say("RSET") + m.envelope() + m.say("DATA")
}

func (m *model) say(command string) string {
	m.owed++
	return command + "\r\n"
}

func (m *model) envelope() string {
	s := m.say("MAIL FROM:<a@x.example>")
	for range 1 + m.IntN(4) {
		s += m.say("RCPT TO:<b@y.example>")
	}
	return s
}

func (m *model) body() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Subject: %d\r\n\r\n", m.Uint64())
	for range m.IntN(20) {
		b.WriteString(strings.Repeat("..", m.IntN(2)) + strings.Repeat("x", m.IntN(100)) + "\r\n")
	}
	return b.String()
}

// text is a text, sometimes with the next command behind it, or without its
// end.
func (m *model) text() string {
	m.owed++
	body := m.body()
	if m.IntN(10) == 0 {
		body += strings.Repeat("long ", 20000) + "\r\n"
	}
	body += ".\r\n"
	switch m.IntN(6) {
	case 0:
		return body + m.say("RSET")
	case 1:
		return body + m.envelope()
	}
	return body
}

func (m *model) chunk() string {
	m.owed++
	body := m.body()
	if m.IntN(2) == 0 {
		m.chunks = false
		return fmt.Sprintf("BDAT %d LAST\r\n%s", len(body), body)
	}
	return fmt.Sprintf("BDAT %d\r\n%s", len(body), body)
}

func codesOf(heard []byte) (codes []string) {
	for line := range strings.Lines(string(heard)) {
		if line[3] == ' ' {
			codes = append(codes, line[:3])
		}
	}
	return codes
}

// TestModel plays valid dialogues against an upstream that refuses and leaves
// as it likes. Whatever is acknowledged is there, whole, and nothing else is,
// but for one message whose answer the client did not hear.
func TestModel(t *testing.T) {
	acknowledged := 0
	for seed := range uint64(700) {
		random := rand.New(rand.NewPCG(seed, 1))
		m := &model{Rand: random, owed: 1}
		p := newPlay(t, "")
		p.more = m.next
		p.cut = random.IntN(2) * random.IntN(50)
		p.options.MaxErrors = 1000
		p.answer = m.answers(random)
		p.run(t)
		d, err := p.check([]byte(m.sent.String()))
		if err == nil {
			err = p.noneElse(d)
		}
		if codes := codesOf(p.heard); m.fault != "" && codes[len(codes)-1] != "421" && codes[len(codes)-1] != "221" {
			err = fmt.Errorf("%s", m.fault)
		}
		if err != nil || t.Failed() {
			t.Fatalf("seed %d: %v\nsent %.2000q\nheard %q", seed, err, m.sent.String(), p.heard)
		}
		acknowledged += len(d.taken())
	}
	if acknowledged < 250 {
		t.Errorf("only %d messages were taken: the model is too pessimistic", acknowledged)
	}
}

// answers has the upstream refuse some commands, and leave in the middle of some
// replies.
func (m *model) answers(random *rand.Rand) func(int, string) (string, error) {
	refuses, leaves := random.IntN(10), random.IntN(4)
	return func(n int, usual string) (string, error) {
		if n < 2 || random.IntN(20) >= refuses {
			return usual, os.ErrDeadlineExceeded
		}
		if random.IntN(20) < leaves {
			return usual[:random.IntN(len(usual)+1)], io.EOF
		}
		return m.refuse(usual), os.ErrDeadlineExceeded
	}
}

// refuse changes some of the replies to a group.
func (m *model) refuse(usual string) string {
	lines := strings.SplitAfter(usual, "\r\n")
	if strings.HasPrefix(usual, "250-") {
		return usual
	}
	for i, line := range lines {
		if line != "" && !strings.HasPrefix(line, "221") && m.IntN(2) == 0 {
			lines[i] = []string{"450 4.0.0 Later\r\n", "550 5.0.0 Never\r\n"}[m.IntN(2)]
		}
	}
	return strings.Join(lines, "")
}

// noneElse checks that each message that is complete at the upstream is one
// whose end the client has sent.
func (p *play) noneElse(d *dialogue) error {
	sent := make(map[string]bool)
	for _, m := range d.ended {
		sent[m.body] = true
	}
	for _, u := range p.up {
		for _, m := range u.oracle.messages {
			if !sent[m.body] {
				return fmt.Errorf("the upstream has %.200q", m.body)
			}
		}
	}
	return nil
}
