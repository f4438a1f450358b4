//go:build linux

package proxy_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// TestPassedSockets passes sockets for all that listens, and one for nothing.
func TestPassedSockets(t *testing.T) {
	sink := peer.Sink(t)
	p := newParent(t, "")
	mx := p.pass("mx", "tcp", "127.0.0.1:0")
	path := filepath.Join(openDir(t), "milter.sock")
	p.pass("in_house", "unix", path)
	admin := p.pass("admin", "tcp", "127.0.0.1:0")
	p.pass("old", "tcp", "127.0.0.1:0")
	p.configure(fmt.Sprintf(`hostname: weir.example
listeners:
  - {name: mx, address: %q, upstream: {address: %q}}
  - {name: "in house", mode: milter, address: "unix:%s"}
  - {name: own, address: "127.0.0.1:0", upstream: {address: %[2]q}}
admin: {address: %[4]q}
chain: []
`, mx, sink.Addr, path, admin))
	c := p.start().ready()
	client := peer.Dial(t, mx)
	client.Do("250", "EHLO client.test.example")
	client.Do("221", "QUIT")
	askMilter(t, path)
	reply, err := http.Get("http://" + admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	reply.Body.Close()
	if reply.StatusCode != http.StatusOK {
		t.Errorf("metrics: %s", reply.Status)
	}
	for listener, passed := range map[string]bool{"listener=mx ": true, `listener="in house"`: true, "listener=own": false} {
		for line := range strings.Lines(c.log.String()) {
			if strings.Contains(line, "msg=listening") && strings.Contains(line, listener) && strings.Contains(line, "passed=true") != passed {
				t.Errorf("want passed=%t: %s", passed, line)
			}
		}
	}
	if want := "is not used: name it like a listener, with FileDescriptorName= in its unit\" socket=old"; !strings.Contains(c.log.String(), want) {
		t.Errorf("it does not warn of the socket that nobody wants: %s", c.log)
	}
	c.stop()
	if conn, err := net.Dial("unix", path); err != nil {
		t.Errorf("the Unix socket that the parent keeps is gone: %v", err)
	} else {
		conn.Close()
	}
}

// askMilter connects to a milter as an MTA does, and holds it to answer.
func askMilter(t *testing.T, path string) {
	t.Helper()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.Write([]byte("\x00\x00\x00\x0dO\x00\x00\x00\x06\x00\x00\x01\xff\x00\x1f\xff\xff")) // SMFIC_OPTNEG of version 6
	head := make([]byte, 5)
	if _, err := io.ReadFull(conn, head); err != nil || head[4] != 'O' {
		t.Errorf("the milter answers %q, %v", head, err)
	}
}

// TestPassedWrong passes sockets that are no use, which ends the program.
func TestPassedWrong(t *testing.T) {
	for _, test := range []struct{ name, network, address, listener, want string }{
		{"elsewhere", "tcp", "127.0.0.1:0", `{name: mx, address: ":25", upstream: {address: "127.0.0.1:1"}}`,
			"listener mx: the socket mx that was passed to mailweir cannot be used: it is at 127.0.0.1:"},
		{"another family", "tcp", "127.0.0.1:0", `{name: mx, mode: milter, address: "unix:/run/x.sock"}`,
			"not at /run/x.sock: change one or the other"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newParent(t, "listeners: ["+test.listener+"]\nchain: []\n")
			p.pass("mx", test.network, test.address)
			c := p.start()
			c.end()
			if c.err == nil || !strings.Contains(c.log.String(), test.want) {
				t.Errorf("%v\n%s", c.err, c.log)
			}
		})
	}
}

// TestTold follows what the manager is told in the life of a program.
func TestTold(t *testing.T) {
	p := newParent(t, fmt.Sprintf(restartConfig, "", "127.0.0.1:0", "127.0.0.1:1"))
	p.environ = []string{"WATCHDOG_USEC=200000"}
	c := p.start().ready()
	c.tells("WATCHDOG=1")
	c.tells("STATUS=0 sessions")
	c.signal(syscall.SIGHUP)
	c.tells("RELOADING=1\nMONOTONIC_USEC=")
	until(t, "it is ready again", func() bool { return strings.Count(c.told.String(), "READY=1") == 2 })
	p.configure("nonsense")
	c.signal(syscall.SIGHUP)
	c.tells("READY=1\nSTATUS=0 sessions; the configuration could not be loaded again, see the log")
	c.stop()
	if want := "STOPPING=1\nSTATUS=0 sessions; ending\nEXTEND_TIMEOUT_USEC=20000000\n"; !strings.Contains(c.told.String(), want) {
		t.Errorf("it has told %q, want %q", c.told, want)
	}
	first, _, _ := strings.Cut(c.told.String(), "\n")
	if first != "READY=1" {
		t.Errorf("the first that it has told is %q", first)
	}
}

// TestDrainDeadline stops a program that has a transaction under way: for one it
// waits, one that takes longer than drain_timeout is cut off with 421.
func TestDrainDeadline(t *testing.T) {
	sink := peer.Sink(t)
	at := peer.FreeAddr(t)
	for _, test := range []struct {
		name, timeout string
		finishes      bool
	}{
		{"in time", "1m", true},
		{"too late", "100ms", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newParent(t, strings.Replace(fmt.Sprintf(restartConfig, "", at, sink.Addr), "10s", test.timeout, 1))
			c := p.start().ready()
			client := peer.Dial(t, at)
			client.Do("250", "EHLO client.test.example")
			client.Do("250", "MAIL FROM:<a@test.example>")
			client.Do("250", "RCPT TO:<b@test.example>")
			client.Do("354", "DATA")
			c.signal(syscall.SIGTERM)
			c.tells("STOPPING=1")
			if test.finishes {
				client.Do("250", "x\r\n.")
			}
			client.Expect("421")
			client.Close()
			c.wait()
			if cut := strings.Contains(c.log.String(), "sessions were cut off"); cut == test.finishes {
				t.Errorf("sessions were cut off: %t\n%s", cut, c.log)
			}
		})
	}
	if n := len(sink.Messages()); n != 1 {
		t.Errorf("%d messages have come, want 1", n)
	}
}
