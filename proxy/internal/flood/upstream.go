package flood

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
)

// subject begins the line of a message that tells its id.
const subject = "Subject: "

// ServeUpstream is an MTA that takes all, until stdin ends. It prints its address,
// and writes the ids of messages into a file before it acknowledges them. It is
// for a process of its own: each may open so many files only.
func ServeUpstream(file string) error {
	ids, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go serve(conn, ids)
		}
	}()
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// serve is one session. It knows nobody whose name is nobody.
func serve(conn net.Conn, ids io.Writer) {
	defer conn.Close()
	in, out := bufio.NewReaderSize(conn, 512), bufio.NewWriterSize(conn, 512)
	reply := "220 up.test.example ESMTP"
	for {
		fmt.Fprintf(out, "%s\r\n", reply)
		if in.Buffered() == 0 && out.Flush() != nil {
			return
		}
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		verb, args, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch reply = "250 Ok"; verb {
		case "EHLO":
			reply = "250-up.test.example\r\n250-PIPELINING\r\n250-SIZE 10000000\r\n250 8BITMIME"
		case "RCPT":
			if strings.Contains(args, "<nobody") {
				reply = "550 5.1.1 No such user"
			}
		case "DATA":
			io.WriteString(out, "354 Go on\r\n")
			if out.Flush() != nil || !take(in, ids) {
				return
			}
		case "QUIT":
			io.WriteString(out, "221 Bye\r\n")
			out.Flush()
			return
		}
	}
}

// take reads a text, and reports whether its end has come and it is kept.
func take(in *bufio.Reader, ids io.Writer) bool {
	for {
		line, err := in.ReadSlice('\n')
		switch {
		case err == bufio.ErrBufferFull:
		case err != nil:
			return false
		case string(line) == ".\r\n":
			return true
		default:
			if id, ok := strings.CutPrefix(string(line), subject); ok {
				if _, err := io.WriteString(ids, strings.TrimSpace(id)+"\n"); err != nil {
					return false
				}
			}
		}
	}
}
