//go:build linux

package proxy_test

import (
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// needNobody skips the test where it cannot become another user.
func needNobody(t *testing.T) *user.User {
	t.Helper()
	u, err := user.Lookup("nobody")
	if os.Geteuid() != 0 || err != nil {
		t.Skip("only root can become nobody")
	}
	return u
}

// statusOf returns lines of /proc/PID/status, which must be the same for all
// threads.
func statusOf(t *testing.T, c *child) map[string]string {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", c.cmd.Process.Pid))
	if err != nil || len(threads) < 2 {
		t.Fatalf("%d threads, %v", len(threads), err)
	}
	var first map[string]string
	for _, file := range threads {
		data, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		status := map[string]string{}
		for line := range strings.Lines(string(data)) {
			key, value, _ := strings.Cut(line, ":")
			if regexp.MustCompile(`^(Uid|Gid|Groups|Cap.*|NoNewPrivs)$`).MatchString(key) {
				status[key] = strings.Join(strings.Fields(value), " ")
			}
		}
		if first == nil {
			first = status
		}
		if diff := cmp.Diff(first, status); diff != "" {
			t.Errorf("%s: %s", file, diff)
		}
	}
	return first
}

func rights(u *user.User, capabilities string) map[string]string {
	want := map[string]string{
		"Uid": strings.TrimSpace(strings.Repeat(u.Uid+" ", 4)), "Gid": strings.TrimSpace(strings.Repeat(u.Gid+" ", 4)), "Groups": u.Gid,
		"NoNewPrivs": "1",
	}
	for _, set := range []string{"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"} {
		want[set] = capabilities
	}
	return want
}

// lowPort returns a free address that only root may listen at.
func lowPort(t *testing.T) string {
	t.Helper()
	if limit, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start"); err != nil || strings.TrimSpace(string(limit)) != "1024" {
		t.Skip("everybody may listen at any port here")
	}
	for port := 1023; port > 600; port-- {
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			defer l.Close()
			return l.Addr().String()
		}
	}
	t.Skip("no low port is free")
	return ""
}

// TestUser starts the program as root, with a user: it serves at a port of
// root's, without any of root's rights, in all of its threads.
func TestUser(t *testing.T) {
	u := needNobody(t)
	sink, at := peer.Sink(t), lowPort(t)
	p := newParent(t, fmt.Sprintf(restartConfig, "user: nobody", at, sink.Addr))
	c := p.start().ready()
	if diff := cmp.Diff(rights(u, "0000000000000000"), statusOf(t, c)); diff != "" {
		t.Error(diff)
	}
	client := peer.Dial(t, at)
	client.Hello()
	post(client, "x")
	sink.Wait(t, 1, patience)

	// A reload may keep the port of root's, and not open another one.
	other := lowPort(t)
	p.configure(strings.Replace(fmt.Sprintf(restartConfig, "user: nobody", at, sink.Addr), "[{name: mx",
		fmt.Sprintf("[{name: new, address: %q, upstream: {address: %q}}, {name: mx", other, sink.Addr), 1))
	c.signal(syscall.SIGHUP)
	want := "listen tcp " + other + ": bind: permission denied: user " + u.Uid + " may not open it; start mailweir as root, with user set"
	until(t, want, func() bool { return strings.Contains(c.log.String(), want) })
	p.configure(fmt.Sprintf(restartConfig, "user: root", at, sink.Addr))
	c.signal(syscall.SIGHUP)
	until(t, "a reload", func() bool { return strings.Contains(c.log.String(), "need a restart") })
	client = peer.Dial(t, at)
	client.Hello()
	client.Do("221", "QUIT")
	c.stop()
}

// TestUserTransparent keeps the one right that transparent upstreams need.
func TestUserTransparent(t *testing.T) {
	u := needNobody(t)
	config := strings.Replace(restartConfig, "upstream: {", "upstream: {identity: transparent, ", 1)
	p := newParent(t, fmt.Sprintf(config, "user: nobody\ngroup: '"+u.Gid+"'", "127.0.0.1:0", "127.0.0.1:1"))
	c := p.start().ready()
	if diff := cmp.Diff(rights(u, "0000000000001000"), statusOf(t, c)); diff != "" { // CAP_NET_ADMIN is 12
		t.Error(diff)
	}
	c.stop()
}

// TestUserTakesOver has a process follow another one, each of which was root at
// first, also at a port that was added by a reload; and takes a passed socket.
func TestUserTakesOver(t *testing.T) {
	needNobody(t)
	sink, at, added := peer.Sink(t), lowPort(t), peer.FreeAddr(t)
	p := newParent(t, fmt.Sprintf(restartConfig, "user: nobody\nreuse_port: true", at, sink.Addr))
	p.configure(fmt.Sprintf(restartConfig, "user: nobody\nreuse_port: true", at, sink.Addr))
	old := p.start().ready()
	p.configure(strings.Replace(fmt.Sprintf(restartConfig, "user: nobody\nreuse_port: true", at, sink.Addr), "[{name: mx",
		fmt.Sprintf("[{name: passed, address: 127.0.0.1:0, upstream: {address: %q}}, {name: new, address: %q, upstream: {address: %[1]q}}, {name: mx", sink.Addr, added), 1))
	old.signal(syscall.SIGHUP)
	until(t, "a reload", func() bool { return strings.Contains(old.log.String(), "loaded the configuration again") })
	passed := p.pass("passed", "tcp", "127.0.0.1:0")
	next := p.start("--take-over", strconv.Itoa(old.cmd.Process.Pid)).ready()
	old.wait()
	for _, at := range []string{at, added, passed} {
		client := peer.Dial(t, at)
		client.Hello()
		client.Do("221", "QUIT")
	}
	next.stop()
}

// TestUserWrong goes through what keeps the program from becoming a user, and
// what it says then.
func TestUserWrong(t *testing.T) {
	u := needNobody(t)
	dir := openDir(t)
	hidden := filepath.Join(dir, "hidden")
	if err := os.WriteFile(hidden, []byte("192.0.2.1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, settings, chain, want string }{
		{"unknown", "user: nobody-there", "", `user: there is no user "nobody-there": add it, such as with useradd`},
		{"root", "user: root", "", "user: root is who shall be left"},
		{"number of root", "user: '0'\ngroup: nogroup", "", "user: root is who shall be left"},
		{"number without group", "user: '54321'", "", `user: "54321" has no name, so its group is not known: set group`},
		{"group", "user: nobody\ngroup: nobody-there", "", `group: there is no group "nobody-there"`},
		{"file", "user: nobody", "[{access: {deny_files: [" + hidden + "]}}]", "mailweir was to become user nobody: that user, or a group of it, must be able to read"},
		{"state", "user: nobody\nstate: {file: state.db}", "", "permission denied: user " + u.Uid + " must be able to write the file and its folder: give them to that user, with chown"},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := fmt.Sprintf(restartConfig, test.settings, "127.0.0.1:0", "127.0.0.1:1")
			if test.chain != "" {
				text = strings.Replace(text, "[{helo: {}}]", test.chain, 1)
			}
			c := newParent(t, text).start()
			c.end()
			if c.err == nil || !strings.Contains(c.log.String(), test.want) {
				t.Errorf("%v: %s", c.err, c.log)
			}
		})
	}
}

// TestNoUser holds root without a user to be warned.
func TestNoUser(t *testing.T) {
	needNobody(t)
	c := newParent(t, fmt.Sprintf(restartConfig, "", "127.0.0.1:0", "127.0.0.1:1")).start().ready()
	if want := "mailweir runs as root: set user"; !strings.Contains(c.log.String(), want) {
		t.Errorf("it does not warn: %s", c.log)
	}
	c.stop()
}
