package peer

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
)

// keywords are what the Recorder offers.
const keywords = "250-sink.test.example\r\n" +
	"250-PIPELINING\r\n" +
	"250-SIZE 0\r\n" +
	"250-8BITMIME\r\n" +
	"250 SMTPUTF8\r\n"

// serve holds one SMTP session. It speaks the grammar of RFC 5321 strictly: a
// line ends with CRLF, a message with CRLF.CRLF, and nothing else does.
func (r *Recorder) serve(conn net.Conn) {
	in, out := bufio.NewReader(conn), bufio.NewWriter(conn)
	say := func(reply string) { io.WriteString(out, reply) }
	say("220 sink.test.example ESMTP\r\n")
	var m Message
	for {
		if in.Buffered() == 0 && out.Flush() != nil {
			return
		}
		line, err := readLine(in)
		if err != nil {
			if errors.Is(err, errBareLineEnd) {
				r.fault(err.Error())
			}
			return
		}
		verb, args, _ := strings.Cut(string(line), " ")
		switch strings.ToUpper(verb) {
		case "EHLO":
			say(keywords)
		case "HELO", "NOOP":
			say("250 Ok\r\n")
		case "RSET":
			m = Message{}
			say("250 Ok\r\n")
		case "MAIL":
			m = Message{}
			m.From, m.Params = splitPath(args)
			say("250 Ok\r\n")
		case "RCPT":
			m.To, _ = splitPath(args)
			m.Rcpts = append(m.Rcpts, m.To)
			say("250 Ok\r\n")
		case "DATA":
			say("354 Go on\r\n")
			if out.Flush() != nil {
				return
			}
			if m.Data, err = readText(in); err != nil {
				return // the client has gone: there is no message
			}
			r.keep(m)
			m = Message{}
			say("250 Ok\r\n")
		case "QUIT":
			say("221 Bye\r\n")
			out.Flush()
			return
		default:
			r.fault(fmt.Sprintf("unknown command %.100q", line))
			say("500 What?\r\n")
		}
	}
}

// splitPath separates "FROM:<a@b> X=Y" into "a@b" and "X=Y".
func splitPath(args string) (path, params string) {
	_, rest, _ := strings.Cut(args, "<")
	path, params, _ = strings.Cut(rest, ">")
	return path, strings.TrimSpace(params)
}

var errBareLineEnd = errors.New("CR or LF outside CRLF")

// readLine reads a command line, without its CRLF.
func readLine(in *bufio.Reader) ([]byte, error) {
	line, err := in.ReadBytes('\n')
	if err != nil {
		return nil, err
	}
	text, ok := bytes.CutSuffix(line, []byte("\r\n"))
	if !ok || bytes.ContainsAny(text, "\r\n") {
		return nil, fmt.Errorf("%w in %.100q", errBareLineEnd, line)
	}
	return text, nil
}

// readText reads a message up to CRLF.CRLF and takes the stuffed dots away.
func readText(in *bufio.Reader) ([]byte, error) {
	var text []byte
	start := true // at the start of a line
	for {
		line, err := in.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
		if start && line[0] == '.' {
			if string(line) == ".\r\n" {
				return text, nil
			}
			line = line[1:]
		}
		text = append(text, line...)
		start = bytes.HasSuffix(text, []byte("\r\n"))
	}
}
