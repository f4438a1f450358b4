package flood_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailweir/mailweir/proxy/internal/peer"
	"github.com/mailweir/mailweir/proxy/internal/peer/proc"
)

// holding is a chain that needs whole messages.
const holding = `[headers: {add: [{name: X-Passed, value: "yes"}]}]`

// wrapped is a mailweir that a shell starts by exec, after some preparation.
func wrapped(t *testing.T, binary peer.Mailweir, script string) peer.Mailweir {
	t.Helper()
	file := filepath.Join(t.TempDir(), "mailweir")
	text := fmt.Sprintf("#!/bin/sh\nset -e\nBIN=%s\n%s\n", binary, script)
	if err := os.WriteFile(file, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return peer.Mailweir(file)
}

// A disk that is full in the middle of a message, or was never there, loses
// nothing: that message is refused for now, and the session goes on.
func TestFullDisk(t *testing.T) {
	binary := peer.BuildMailweir(t)
	for name, script := range map[string]string{
		"full":       "exec unshare -m sh -c 'mount -t tmpfs -o size=1m none $0 && TMPDIR=$0 exec \"$@\"' " + t.TempDir() + " $BIN \"$@\"",
		"nowhere":    "TMPDIR=/nonexistent exec $BIN \"$@\"",
		"unwritable": "TMPDIR=/proc exec $BIN \"$@\"",
	} {
		t.Run(name, func(t *testing.T) {
			if name == "full" {
				needMounts(t)
			}
			up := newUpstream(t)
			r := wrapped(t, binary, script).RelayWith(t, peer.RelayOptions{
				Listener: fmt.Sprintf("upstream: {address: %q}", up.addr),
				Chain:    holding,
			})
			great := strings.Repeat(strings.Repeat("x", 998)+"\r\n", 3000)
			c := dial(t, r.Addr)
			c.wants(message("small", ""), "250")
			c.wants(message("great", great), "452")
			c.wants(message("again", ""), "250")
			if name == "full" {
				c.wants(message("fits", great[:600_000]), "250") // the place has been given back
			}
			up.wants(t, []string{"small", "again"})
			if ids, _ := os.ReadFile(up.file); strings.Contains(string(ids), "great") {
				t.Error("the upstream has got the message that was refused")
			}
			if log := r.Log(); !strings.Contains(log, `"reason":"no_room"`) {
				t.Errorf("the log does not tell: %s", log)
			}
		})
	}
}

// A log that cannot be written stops no mail.
func TestLogFails(t *testing.T) {
	binary := peer.BuildMailweir(t)
	t.Run("full disk", func(t *testing.T) {
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Skipf("this system has no file that is always full: %v", err)
		}
		defer full.Close()
		unlogged(t, binary, full)
	})
	t.Run("nobody reads", func(t *testing.T) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		r.Close()
		unlogged(t, binary, w)
	})
}

// unlogged sends mail through a mailweir with that log.
func unlogged(t *testing.T, binary peer.Mailweir, log *os.File) {
	t.Helper()
	up := newUpstream(t)
	addr, err := proc.FreeAddr("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "mailweir.yaml")
	config := fmt.Sprintf("hostname: relay.test.example\nlisteners:\n  - {name: mx, address: %q, upstream: {address: %q}}\nchain: []\n", addr, up.addr)
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	p, err := proc.Start(exec.Command(string(binary), "serve", "--config", file), log)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop(10 * time.Second)
	if err := p.Listening(addr, 20*time.Second); err != nil {
		t.Fatal(err)
	}
	for n := range 5 {
		id := fmt.Sprint("unlogged-", n)
		dial(t, addr).wants(message(id, ""), "250")
		up.wants(t, []string{id})
	}
}

// needMounts skips a test where nobody may mount anything.
func needMounts(t *testing.T) {
	t.Helper()
	if out, err := exec.Command("unshare", "-m", "mount", "-t", "tmpfs", "-o", "size=1m", "none", t.TempDir()).CombinedOutput(); err != nil {
		t.Skipf("cannot mount a file system of its own here: %v %s", err, out)
	}
}

// client is one that has greeted.
type client struct {
	*testing.T
	net.Conn
	in *lines
}

func dial(t *testing.T, addr string) *client {
	t.Helper()
	conn, err := net.Dial("tcp4", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(time.Minute))
	c := &client{t, conn, newLines(conn)}
	c.reply()
	c.says(ehlo, "250")
	return c
}

// message is what is said of a message in turn.
func message(id, more string) []string {
	return []string{mailFrom, rcptTo, "DATA\r\n", "Subject: " + id + "\r\n\r\n" + more + "\r\n.\r\n"}
}

// wants says all of it. The last reply must begin with code.
func (c *client) wants(said []string, code string) {
	c.Helper()
	codes := []string{"250", "250", "354", code}
	for i, text := range said {
		c.says(text, codes[i])
	}
}

func (c *client) says(text, code string) {
	c.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.Fatal(err)
	}
	if reply := c.reply(); !strings.HasPrefix(reply, code) {
		c.Fatalf("to %.60q the reply is %q, want %s", text, reply, code)
	}
}

// reply returns the last line of a reply.
func (c *client) reply() string {
	c.Helper()
	for {
		line, err := c.in.next()
		if err != nil {
			c.Fatal(err)
		}
		if len(line) < 4 || line[3] != '-' {
			return line
		}
	}
}
