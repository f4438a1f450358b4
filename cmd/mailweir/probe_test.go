package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// mta is the script command "mta NAME SCRIPT CONFIG": it starts an MTA that
// answers as the script says, and writes its address for NAME in the
// configuration. The script's first line is the greeting; all others are the
// beginning of a command, " => ", and the reply.
func mta(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: mta NAME SCRIPT CONFIG")
	}
	greeting, answers, _ := strings.Cut(strings.TrimSpace(ts.ReadFile(args[1])), "\n")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	var sessions sync.WaitGroup
	sessions.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.SetDeadline(time.Now().Add(time.Minute))
			sessions.Go(func() {
				defer conn.Close()
				converse(conn, greeting, answers)
			})
		}
	})
	ts.Defer(func() {
		l.Close()
		sessions.Wait()
	})
	config := strings.ReplaceAll(ts.ReadFile(args[2]), args[0], l.Addr().String())
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(config), 0o644))
}

// converse greets, and answers each command.
func converse(conn net.Conn, greeting, answers string) {
	say := func(text string) {
		fmt.Fprintf(conn, "%s\r\n", strings.NewReplacer(`\n`, "\r\n", `\e`, "\x1b").Replace(text))
	}
	say(greeting)
	for in := bufio.NewScanner(conn); in.Scan(); {
		reply := "500 5.5.1 what"
		for answer := range strings.Lines(answers) {
			if command, text, ok := strings.Cut(strings.TrimSpace(answer), " => "); ok && strings.HasPrefix(in.Text(), command) {
				reply = text
				break
			}
		}
		say(reply)
	}
}
