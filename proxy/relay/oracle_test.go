package relay_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/mailweir/mailweir/proxy/smtp"
)

// oracle reads what one upstream connection was sent, by the letter, and holds
// it against what the upstream had said by then.
type oracle struct {
	said     []byte // and not parsed yet
	replies  []smtp.ServerReply
	asked    int // commands, chunks and texts that are owed a reply; the greeting is not asked for
	commands []string
	secrets  []string // lines of AUTH exchanges
	messages []message

	state reading
	chunk int64 // octets to come
	last  bool
	body  []byte
	auth  bool // in an AUTH exchange
	loose bool // BODY=BINARYMIME: any octet may be in a chunk
}

// message is one that the upstream has whole.
type message struct {
	body string // in wire form if it came with DATA
	ask  int    // its place among what was asked
}

type reading int

const (
	atCommand reading = iota
	afterDATA
	inText
	inChunk
)

var errStep = errors.New("the relay wrote while it was owed a reply, or was told something unasked")

// says takes note of what the upstream says.
func (o *oracle) says(octets string) {
	o.said = append(o.said, octets...)
	src := bytes.NewReader(o.said)
	in := smtp.NewReplyReader(src)
	for {
		reply, err := in.ReadReply()
		if err != nil {
			return
		}
		o.said = o.said[len(reply.Wire):]
		reply.Wire = nil
		o.replies = append(o.replies, reply)
	}
}

// hears takes what the relay has written, and returns the replies of an MTA
// that takes everything.
func (o *oracle) hears(b []byte) (usual string, err error) {
	inStep := len(o.said) == 0 && len(o.replies) == o.asked+1
	if !inStep && string(b) != "QUIT\r\n" {
		return "", errStep
	}
	if o.state == afterDATA {
		o.state = atCommand
		if o.replies[o.asked].Code == 354 {
			o.state, o.body = inText, nil
		}
	}
	for len(b) > 0 {
		var reply string
		switch o.state {
		case atCommand:
			b, reply, err = o.command(b)
		case afterDATA:
			return usual, errors.New("something follows DATA in its group")
		case inText:
			b, reply, err = o.text(b)
		case inChunk:
			b, reply, err = o.octets(b)
		}
		if err != nil {
			return usual, err
		}
		usual += reply
	}
	return usual, nil
}

var known = []string{"HELO", "EHLO", "MAIL", "RCPT", "DATA", "BDAT", "RSET", "NOOP", "HELP", "VRFY", "EXPN", "ETRN",
	"AUTH", "QUIT"}

func (o *oracle) command(b []byte) (rest []byte, reply string, err error) {
	line, rest, ok := bytes.Cut(b, []byte("\r\n"))
	if !ok || bytes.ContainsAny(line, "\r\n\x00") {
		return nil, "", fmt.Errorf("not a command line: %q", line)
	}
	if o.auth {
		o.auth = o.replies[o.asked].Code == 334
	}
	o.asked++
	if o.auth {
		o.secrets = append(o.secrets, string(line))
		return rest, "235 2.7.0 In\r\n", nil
	}
	word, args, _ := bytes.Cut(line, []byte(" "))
	o.commands = append(o.commands, string(line))
	if !slices.Contains(known, string(word)) {
		return nil, "", fmt.Errorf("not a command: %q", line)
	}
	switch string(word) {
	case "EHLO":
		reply = "250-up.example\r\n250-PIPELINING\r\n250-CHUNKING\r\n250-AUTH PLAIN LOGIN\r\n250-STARTTLS\r\n" +
			"250-XCLIENT ADDR\r\n250-BINARYMIME\r\n250-SIZE 1000000\r\n250 8BITMIME\r\n"
		o.body = nil
	case "NOOP":
		reply = "250 Ok\r\n"
	case "HELO", "RSET":
		o.body, reply = nil, "250 Ok\r\n"
	case "MAIL":
		o.body, reply = nil, "250 2.1.0 Sender\r\n"
		o.loose = bytes.Contains(bytes.ToUpper(args), []byte("BODY=BINARYMIME"))
	case "RCPT":
		reply = "250 2.1.5 Recipient\r\n"
	case "DATA":
		o.state, reply = afterDATA, "354 Go on\r\n"
	case "BDAT":
		c, ok := smtp.ParseChunk(args)
		if !ok {
			return nil, "", fmt.Errorf("bad chunk: %q", line)
		}
		o.asked-- // until its octets have come
		o.state, o.chunk, o.last = inChunk, c.Size, c.Last
		if c.Size == 0 {
			return o.chunkEnds(rest)
		}
	case "AUTH":
		o.auth, reply = true, "334 \r\n"
	case "QUIT":
		reply = "221 Bye\r\n"
	default:
		reply = "252 Perhaps\r\n"
	}
	return rest, reply, nil
}

// text takes the text of DATA: CRLF comes in pairs, and nothing is behind the
// dot.
func (o *oracle) text(b []byte) (rest []byte, reply string, err error) {
	from := max(0, len(o.body)-4)
	o.body = append(o.body, b...)
	end := bytes.Index(o.body[from:], []byte("\r\n.\r\n"))
	switch {
	case bytes.HasPrefix(o.body, []byte(".\r\n")):
		end = 0
	case end >= 0:
		end += from + 2
	default:
		return nil, "", clean(b)
	}
	if len(o.body) != end+3 {
		return nil, "", fmt.Errorf("behind the dot: %q", o.body[end:])
	}
	if err := clean(b); err != nil {
		return nil, "", err
	}
	o.asked++
	o.messages = append(o.messages, message{body: string(o.body[:end]), ask: o.asked})
	o.state, o.body = atCommand, nil
	return nil, "250 2.0.0 Queued\r\n", nil
}

func (o *oracle) octets(b []byte) (rest []byte, reply string, err error) {
	n := min(int64(len(b)), o.chunk)
	o.body = append(o.body, b[:n]...)
	if o.chunk -= n; o.chunk > 0 {
		return nil, "", nil
	}
	return o.chunkEnds(b[n:])
}

func (o *oracle) chunkEnds(rest []byte) ([]byte, string, error) {
	o.asked++
	o.state = atCommand
	if !o.last {
		return rest, "250 2.0.0 Chunk\r\n", nil
	}
	var err error
	if !o.loose {
		err = clean(o.body)
	}
	o.messages = append(o.messages, message{body: string(o.body), ask: o.asked})
	o.body = nil
	return rest, "250 2.0.0 Queued\r\n", err
}

// clean fails for octets that some readers take for the end of a line, or
// overlook: without them there is one way to read a text.
func clean(text []byte) error {
	rest := bytes.ReplaceAll(text, []byte("\r\n"), nil)
	if i := bytes.IndexAny(rest, "\r\n\x00"); i >= 0 {
		return fmt.Errorf("octet %#x in a text", rest[i])
	}
	return nil
}

// taken returns the messages that the upstream has confirmed, in order.
func (o *oracle) taken() (bodies []string) {
	for _, m := range o.messages {
		if m.ask < len(o.replies) && o.replies[m.ask].Class() == 2 && o.replies[m.ask].Full {
			bodies = append(bodies, m.body)
		}
	}
	return bodies
}
