package ordeal

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
)

// A visit is one connection to an upstream.
type visit struct {
	*Upstream
	tcp     net.Conn // conn, or what is below its TLS
	cut     *cutter  // of tcp
	conn    net.Conn
	in      *bufio.Reader
	random  *rand.Rand
	number  int
	said    int // replies
	stalled bool
	secure  bool   // by TLS
	client  string // whose connection it is, by XCLIENT

	open  bool // there was a MAIL
	key   Key
	rcpts []string
	text  []byte // of the chunks so far
}

func newVisit(u *Upstream, conn net.Conn) *visit {
	n := int(u.number.Add(1))
	return &visit{
		Upstream: u,
		tcp:      conn,
		cut:      &cutter{Conn: conn},
		conn:     conn,
		in:       bufio.NewReader(conn),
		random:   drawn(u.Seed, "upstream "+u.Name, n),
		number:   n,
	}
}

// errOver ends a visit.
var errOver = errors.New("over")

func (v *visit) serve() {
	defer v.conn.Close()
	err := v.reply("greeting", "220 up.test.example ESMTP")
	for err == nil {
		var line string
		if line, err = v.line(); err == nil {
			err = v.command(line)
		}
	}
}

// line reads a command line.
func (v *visit) line() (string, error) {
	line, err := v.in.ReadString('\n')
	if err != nil {
		return "", err // a part of a line is no command
	}
	text, ok := strings.CutSuffix(line, "\r\n")
	if !ok || strings.ContainsAny(text, "\r\n\x00") {
		v.ledger.broken(fmt.Sprintf("not a command line: %.100q", line))
		return "", errOver
	}
	return text, nil
}

func (v *visit) command(line string) error {
	verb, args, _ := strings.Cut(line, " ")
	switch verb {
	case "EHLO", "HELO", "LHLO":
		if v.LMTP != (verb == "LHLO") {
			break
		}
		v.forget()
		return v.reply(verb, v.offer())
	case "STARTTLS":
		return v.startTLS()
	case "XCLIENT":
		return v.xclient(args)
	case "NOOP":
		return v.reply(verb, "250 2.0.0 Ok")
	case "RSET":
		v.forget()
		return v.reply(verb, "250 2.0.0 Ok")
	case "MAIL":
		return v.mail(args)
	case "RCPT":
		return v.rcpt(args)
	case "DATA":
		return v.data()
	case "BDAT":
		if v.LMTP {
			break // clients are not offered that
		}
		return v.chunk(args)
	case "QUIT":
		v.reply(verb, "221 2.0.0 Bye")
		return errOver
	}
	v.ledger.broken(fmt.Sprintf("no command: %.100q", line))
	return errOver
}

// offer is the reply to EHLO.
func (v *visit) offer() string {
	offer := "250-up.test.example\n250-PIPELINING\n250-SIZE 10000000\n250-CHUNKING\n250-8BITMIME\n"
	if v.TLS != nil && !v.secure {
		offer += "250-STARTTLS\n"
	}
	if v.XClient && v.secure == (v.TLS != nil) {
		offer += "250-XCLIENT ADDR NAME PORT PROTO HELO LOGIN DESTADDR DESTPORT\n"
	}
	return offer + "250 ENHANCEDSTATUSCODES"
}

func (v *visit) forget() { v.open, v.rcpts, v.text = false, nil, nil }

func (v *visit) mail(args string) error {
	key, ok := parseKey(args)
	if !ok || v.open || v.secure != (v.TLS != nil) || v.XClient && v.client == "" {
		v.ledger.broken(fmt.Sprintf("MAIL %.100q has no place here", args))
		return errOver
	}
	v.key = key
	ok, err := v.agree("MAIL", "250 2.1.0 Sender "+key.String())
	v.open = ok
	return err
}

func (v *visit) rcpt(args string) error {
	if !v.open {
		return v.reply("RCPT", "503 5.5.1 MAIL first")
	}
	_, path, _ := strings.Cut(args, "<")
	path, _, _ = strings.Cut(path, ">")
	if v.Domain != "" && !strings.HasSuffix(path, "@"+v.Domain) {
		v.ledger.broken(fmt.Sprintf("%s has come to the upstream of %s", path, v.Domain))
		return errOver
	}
	ok, err := v.agree("RCPT", "250 2.1.5 Recipient "+v.key.String())
	if ok {
		v.rcpts = append(v.rcpts, path)
	}
	return err
}

func (v *visit) data() error {
	if !v.open || len(v.rcpts) == 0 {
		return v.reply("DATA", "503 5.5.1 RCPT first")
	}
	ok, err := v.agree("DATA", "354 Go on "+v.key.String())
	if !ok || err != nil {
		return err
	}
	text, err := v.readText()
	switch {
	case err != nil:
		return err
	case v.LMTP:
		return v.endEach(text)
	}
	return v.end(text)
}

// chunk reads a chunk, whatever becomes of it (RFC 3030 section 2).
func (v *visit) chunk(args string) error {
	size, last, _ := strings.Cut(args, " ")
	n, err := strconv.Atoi(size)
	if err != nil || n < 0 || n > 10<<20 {
		v.ledger.broken(fmt.Sprintf("BDAT %.100q", args))
		return errOver
	}
	octets := make([]byte, n)
	if _, err := io.ReadFull(v.in, octets); err != nil {
		return err
	}
	if !v.open || len(v.rcpts) == 0 {
		return v.reply("BDAT", "503 5.5.1 RCPT first")
	}
	v.text = append(v.text, octets...)
	if last == "LAST" {
		return v.end(v.text)
	}
	ok, err := v.agree("BDAT", "250 2.0.0 Chunk "+v.key.String())
	if !ok {
		v.forget()
	}
	return err
}

// readText reads up to CRLF.CRLF, unless a fault strikes before.
func (v *visit) readText() ([]byte, error) {
	fault, line := draw(v.random, v.Rate, inText), v.random.IntN(30)
	var text []byte
	for n := 0; ; n++ {
		if n == line && fault != none {
			if err := v.strike("text", fault); err != nil {
				return nil, err
			}
		}
		octets, err := v.in.ReadBytes('\n')
		switch {
		case err != nil:
			return nil, err
		case !bytes.HasSuffix(octets, []byte("\r\n")):
			v.ledger.broken(fmt.Sprintf("a bare line feed in %s", v.key))
			return nil, errOver
		case string(octets) == ".\r\n":
			return text, nil
		}
		text = append(text, bytes.TrimPrefix(octets, []byte("."))...)
	}
}

// strike does what a fault does where no reply is due.
func (v *visit) strike(in string, f fault) error {
	v.ledger.count(in + ": " + string(f))
	switch f {
	case closes:
	case resets:
		reset(v.tcp)
	case later, never, shuts:
		v.write(v.refusal(f, in))
	case slow:
		v.sleep(v.pause())
		return nil
	case stalls:
		v.stall()
		return nil
	case dies:
		v.kill()
		return nil
	}
	return errOver
}

// stall waits until the relay has given up.
func (v *visit) stall() {
	if !v.stalled {
		v.stalled = true
		v.inStall.Add(1)
	}
	v.sleep(v.ledger.Patience + maxSlow)
}
