package main

import (
	"bytes"
	"net"
	"sync"
)

// A turns is an upstream that counts how often it is waited for: it answers what
// has come whenever it has read, and each reading is a turn.
type turns struct {
	listener net.Listener
	done     sync.WaitGroup

	mu     sync.Mutex
	counts []int // turns of each transaction, from MAIL to the reply to DATA
}

func startTurns() (*turns, error) {
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		return nil, err
	}
	t := &turns{listener: l}
	t.done.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			t.done.Go(func() { t.serve(conn) })
		}
	})
	return t, nil
}

// stop waits for whoever is still connected.
func (t *turns) stop() {
	t.listener.Close()
	t.done.Wait()
}

// take returns what has been counted, and forgets it.
func (t *turns) take() []int {
	t.mu.Lock()
	defer t.mu.Unlock()
	counts := t.counts
	t.counts = nil
	return counts
}

// serve agrees to everything.
func (t *turns) serve(conn net.Conn) {
	defer conn.Close()
	var in, out []byte
	count, text := 0, false
	chunk := make([]byte, 64<<10)
	out = append(out, "220 mx.test.example ESMTP\r\n"...)
	for {
		if len(out) > 0 {
			if _, err := conn.Write(out); err != nil {
				return
			}
			out = out[:0]
		}
		n, err := conn.Read(chunk)
		if err != nil {
			return
		}
		in = append(in, chunk[:n]...)
		count++
		for {
			line, rest, whole := bytes.Cut(in, []byte("\r\n"))
			if !whole {
				break
			}
			in = rest
			verb := string(line[:min(4, len(line))])
			switch {
			case text:
				if text = string(line) != "."; !text {
					out = append(out, "250 2.0.0 Ok\r\n"...)
				}
				continue
			case verb == "MAIL":
				count = 1
			case verb == "DATA":
				text = true
				t.mu.Lock()
				t.counts = append(t.counts, count)
				t.mu.Unlock()
			}
			out = append(out, agreement(verb)...)
		}
	}
}

// agreement is the reply to a command.
func agreement(verb string) string {
	switch verb {
	case "EHLO":
		return "250-mx.test.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 52428800\r\n"
	case "DATA":
		return "354 Go on\r\n"
	case "QUIT":
		return "221 2.0.0 Bye\r\n"
	}
	return "250 2.0.0 Ok\r\n"
}
