package proxy_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailweir/mailweir/configs"
	"github.com/mailweir/mailweir/filters/standard"
	"github.com/mailweir/mailweir/proxy"
)

// A gate is a mailweir of this process with one relay.
type gate struct {
	addr string
	log  syncBuffer
}

// openGate runs mailweir in front of upstream until the test ends. config is
// all but the listener.
func openGate(t testing.TB, upstream, config string) *gate {
	t.Helper()
	g := &gate{}
	config += fmt.Sprintf(`
hostname: mx.example
sessions: {max: 4000, max_per_client: 4000}
listeners:
  - {name: mx, address: "127.0.0.1:0", upstream: {address: %q, max_connections: 4000}}
`, upstream)
	cfg, err := configs.Parse(standard.Kinds(), "config.yaml", []byte(config))
	if err != nil {
		t.Fatalf("%v\n%s", err, config)
	}
	server, err := proxy.New(cfg, slog.New(slog.NewJSONHandler(&g.log, &slog.HandlerOptions{Level: cfg.Log.Level.Slog()})))
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Listen(); err != nil {
		t.Fatal(err)
	}
	g.addr = server.Addr("mx").String()
	var serving sync.WaitGroup
	serving.Go(func() { server.Serve() })
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		serving.Wait()
		if t.Failed() {
			t.Logf("the log:\n%s", g.log.String())
		}
	})
	return g
}

// records returns the records of the log with that message.
func (g *gate) records(t testing.TB, msg string) []map[string]any {
	t.Helper()
	var list []map[string]any
	for line := range strings.Lines(g.log.String()) {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatalf("the log is no JSON: %q", line)
		}
		if record["msg"] == msg {
			list = append(list, record)
		}
	}
	return list
}

// A visitor is a client that sends one message.
type visitor struct {
	from   string // its address
	helo   string
	sender string
	to     string // by default b@test.example
}

// A visit is how that went.
type visit struct {
	reply   string        // of the first command that was refused, else to the message
	greeted time.Duration // from the connection to the greeting
	took    time.Duration // from the connection to that reply
}

func (v visit) accepted() bool { return strings.HasPrefix(v.reply, "250") }

// call lets the visitor send its message through the gate at addr.
func (v visitor) call(addr string) (visit, error) {
	dialer := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.ParseIP(v.from)}}
	began := time.Now()
	conn, err := dialer.DialContext(context.Background(), "tcp", addr)
	if err != nil {
		return visit{}, err
	}
	defer conn.Close()
	conn.SetDeadline(began.Add(6 * patience))
	in := bufio.NewReaderSize(conn, 512)
	var seen visit
	if v.to == "" {
		v.to = "b@test.example"
	}
	for _, command := range []string{
		"", "EHLO " + v.helo, "MAIL FROM:<" + v.sender + ">", "RCPT TO:<" + v.to + ">",
		"DATA", "Subject: a visit\r\n\r\nfrom " + v.from + "\r\n.", "QUIT",
	} {
		if command != "" {
			if _, err := conn.Write([]byte(command + "\r\n")); err != nil {
				return seen, err
			}
		}
		reply, err := readReply(in)
		if err != nil {
			return seen, fmt.Errorf("%q: %w", command, err)
		}
		if command == "" {
			seen.greeted = time.Since(began)
		}
		if command != "QUIT" {
			seen.reply, seen.took = reply, time.Since(began)
		}
		if reply[0] >= '4' {
			return seen, nil
		}
	}
	return seen, nil
}

func readReply(in *bufio.Reader) (string, error) {
	reply := ""
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return "", err
		}
		if len(line) < 5 {
			return "", fmt.Errorf("%q is no reply", line)
		}
		if reply += line; line[3] != '-' {
			return strings.TrimSpace(reply), nil
		}
	}
}

// welcome fails the test unless the visitor's message is accepted within limit.
func (g *gate) welcome(t testing.TB, v visitor, limit time.Duration) {
	t.Helper()
	seen, err := v.call(g.addr)
	switch {
	case err != nil:
		t.Errorf("%s: %v", v.from, err)
	case !seen.accepted():
		t.Errorf("%s: a good client is refused: %s", v.from, seen.reply)
	case seen.took > limit:
		t.Errorf("%s: a session is held for %v, want at most %v", v.from, seen.took, limit)
	}
}

// turnAway fails the test unless the visitor is refused with those words within
// limit.
func (g *gate) turnAway(t testing.TB, v visitor, limit time.Duration, words string) {
	t.Helper()
	seen, err := v.call(g.addr)
	switch {
	case err != nil:
		t.Errorf("%s: %v", v.from, err)
	case !strings.HasPrefix(seen.reply, "5") || !strings.Contains(seen.reply, words):
		t.Errorf("%s: %s, want 5xx and %q", v.from, seen.reply, words)
	case seen.took > limit:
		t.Errorf("%s: a session is held for %v, want at most %v", v.from, seen.took, limit)
	}
}

// eventually waits until what is wanted is so.
func eventually(t testing.TB, within time.Duration, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !so(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after %v: no %s", within, what)
		}
	}
}

// discard starts an upstream that takes all mail and forgets it, and returns
// its address.
func discard(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(12 * patience))
				takeAll(conn)
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		serving.Wait()
	})
	return listener.Addr().String()
}

func takeAll(conn net.Conn) {
	say := func(reply string) { conn.Write([]byte(reply + "\r\n")) }
	say("220 up.example ESMTP")
	text := false
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		line := lines.Text()
		switch verb, _, _ := strings.Cut(line, " "); {
		case text && line != ".":
		case text:
			text = false
			say("250 2.0.0 Ok")
		case verb == "DATA":
			text = true
			say("354 Go ahead")
		case verb == "QUIT":
			say("221 2.0.0 Bye")
			return
		default:
			say("250 2.0.0 Ok")
		}
	}
}
