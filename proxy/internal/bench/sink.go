package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net"
	"os"
)

// takeAll is the argument with which this program is a sink for thousands of
// sessions: smtp-sink searches a list of all of its time-outs at each command.
const takeAll = "take-all"

// crowdSink is this program, as one.
var crowdSink = peer{
	name:      "sink",
	program:   func(context.Context, string) (string, error) { return os.Executable() },
	configure: func(_, addr, _ string) ([]string, error) { return []string{takeAll, addr}, nil },
}

// serveSink takes all mail and forgets it.
func serveSink(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			sinkSession(conn)
		}()
	}
}

// sinkSession serves a client that waits for each reply.
func sinkSession(conn net.Conn) error {
	in := bufio.NewReaderSize(conn, 2<<10)
	reply, text := "220 sink.test.example ESMTP\r\n", false
	for {
		if reply != "" {
			if _, err := conn.Write([]byte(reply)); err != nil {
				return err
			}
		}
		line, err := in.ReadSlice('\n')
		switch {
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return err
		case text && string(line) != ".\r\n":
			reply = ""
		case bytes.HasPrefix(line, []byte("DATA")):
			reply, text = "354 go on\r\n", true
		default:
			reply, text = "250 sink.test.example\r\n", false
		}
	}
}
