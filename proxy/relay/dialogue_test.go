package relay_test

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/mailweir/mailweir/proxy/smtp"
)

// dialogue is a session as a client sees it: its octets, by the letter, beside
// the replies.
type dialogue struct {
	replies []smtp.ServerReply
	next    int // of replies
	rest    []byte
	bad     bool // in the rest of a line with a bare LF
	auth    bool
	chunks  []byte
	ended   []ended
}

// ended is a message whose end the client has sent.
type ended struct {
	body string // in wire form if sent with DATA
	code int    // 0 when no answer came
}

// follow reads a whole session. It fails if the replies are more than what was
// asked, or are not replies.
func follow(sent, heard []byte) (*dialogue, error) {
	d := &dialogue{rest: sent}
	src := bytes.NewReader(heard)
	in := smtp.NewReplyReader(src)
	for {
		reply, err := in.ReadReply()
		if err == io.EOF {
			break
		}
		if err != nil {
			return d, fmt.Errorf("not a reply: %v in %q", err, heard)
		}
		reply.Wire = bytes.Clone(reply.Wire)
		if n := len(d.replies); n > 0 && isLast(d.replies[n-1]) {
			return d, fmt.Errorf("%d behind %d", reply.Code, d.replies[n-1].Code)
		}
		d.replies = append(d.replies, reply)
	}
	d.reply() // the greeting
	for d.line() {
	}
	switch left := d.replies[min(d.next, len(d.replies)):]; {
	case len(left) == 0:
	case len(left) > 1 || !isLast(left[0]):
		return d, fmt.Errorf("%d replies too many, the first %q", len(left), left[0].Wire)
	}
	return d, nil
}

// isLast reports whether the session ends behind that reply. 521 of an upstream that
// stays is a refusal like others; ours has an id.
func isLast(r smtp.ServerReply) bool {
	return r.Code == 421 || r.Code == 521 && bytes.Contains(r.Wire, []byte("(id "))
}

// reply takes the next reply; code is 0 when there is none.
func (d *dialogue) reply() (code int) {
	if d.next < len(d.replies) {
		code = d.replies[d.next].Code
	}
	d.next++
	return code
}

// line follows one line and what belongs to it. It reports whether there was
// one, with its answer.
func (d *dialogue) line() bool {
	i := bytes.IndexByte(d.rest, '\n')
	if i < 0 || d.next >= len(d.replies) {
		return false
	}
	line := d.rest[:i+1]
	d.rest = d.rest[i+1:]
	text, whole := bytes.CutSuffix(line, []byte("\r\n"))
	if !whole {
		d.bad = true
		d.reply()
		return true
	}
	if d.bad {
		d.bad = false
		return true
	}
	if bytes.ContainsAny(text, "\r\x00") {
		d.auth = d.reply() == 334
		return true
	}
	return d.command(text)
}

func (d *dialogue) command(line []byte) bool {
	cmd := smtp.ParseCommand(line)
	if d.auth {
		d.auth = d.reply() == 334
		return true
	}
	switch cmd.Verb {
	case smtp.BDAT:
		return d.chunk(cmd)
	case smtp.DATA:
		return d.reply() != 354 || d.text()
	}
	code := d.reply()
	d.auth = cmd.Verb == smtp.AUTH && code == 334
	if slices.Contains([]smtp.Verb{smtp.EHLO, smtp.HELO, smtp.RSET, smtp.MAIL}, cmd.Verb) && code/100 == 2 {
		d.chunks = nil
	}
	return true
}

func (d *dialogue) text() bool {
	i := strings.Index("\r\n"+string(d.rest), "\r\n.\r\n")
	if i < 0 {
		d.rest = nil
		return false
	}
	body := string(d.rest[:i])
	d.rest = d.rest[i+3:]
	d.ended = append(d.ended, ended{body, d.reply()})
	return true
}

func (d *dialogue) chunk(cmd smtp.Command) bool {
	c, ok := smtp.ParseChunk(cmd.Args)
	if !ok {
		d.reply()
		return false
	}
	if c.Size > int64(len(d.rest)) {
		d.rest = nil
		d.reply() // some are too large to wait for their end
		return false
	}
	d.chunks = append(d.chunks, d.rest[:c.Size]...)
	d.rest = d.rest[c.Size:]
	code := d.reply()
	if c.Last {
		d.ended = append(d.ended, ended{string(d.chunks), code})
	}
	if c.Last || code/100 != 2 {
		d.chunks = nil
	}
	return true
}

// taken returns the messages whose end was answered with 2xx.
func (d *dialogue) taken() (bodies []string) {
	for _, m := range d.ended {
		if m.code/100 == 2 {
			bodies = append(bodies, m.body)
		}
	}
	return bodies
}

// check holds both sides of a session against each other.
func (p *play) check(sent []byte) (*dialogue, error) {
	d, err := follow(sent, p.heard)
	if err != nil {
		return d, err
	}
	taken, told := p.taken(), d.taken()
	if len(told) > len(taken) {
		return d, fmt.Errorf("%d messages acknowledged, the upstream has %d", len(told), len(taken))
	}
	if lost := len(taken) - len(told); lost > 1 || lost == 1 && d.answered() {
		return d, fmt.Errorf("the upstream has %d messages, and the client was told of %d", len(taken), len(told))
	}
	if p.options.FixLines || p.options.FixNUL || p.held {
		return d, nil
	}
	for i := range told {
		if told[i] != taken[i] {
			return d, fmt.Errorf("message %d: sent %q, there is %q", i, told[i], taken[i])
		}
	}
	return d, nil
}

// taken returns the messages that the upstream has whole.
func (p *play) taken() (bodies []string) {
	for _, u := range p.up {
		bodies = append(bodies, u.oracle.taken()...)
	}
	return bodies
}

// answered reports whether the last message's end was answered.
func (d *dialogue) answered() bool { return len(d.ended) == 0 || d.ended[len(d.ended)-1].code != 0 }
