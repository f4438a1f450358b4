package peer

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailweir/mailweir/proxy/internal/peer/proc"
)

// A Netns is a network namespace, where a program has addresses and ports of its
// own. The nil one is where the test itself runs, with loopback.
type Netns struct {
	IPv4, IPv6 netip.Addr

	name string
}

var namespaces atomic.Int64

// newNetns makes a namespace that ends with the test.
func newNetns(t testing.TB) *Netns {
	t.Helper()
	n := &Netns{name: fmt.Sprintf("%s%d-%d", netnsPrefix, os.Getpid(), namespaces.Add(1))}
	if out, err := exec.Command(find("ip"), "netns", "add", n.name).CombinedOutput(); err != nil {
		t.Skipf("this machine allows no network namespaces: %v: %s", err, bytes.TrimSpace(out))
	}
	t.Cleanup(func() {
		if out, err := exec.Command(find("ip"), "netns", "delete", n.name).CombinedOutput(); err != nil {
			t.Errorf("ip netns delete %s: %v: %s", n.name, err, out)
		}
	})
	n.Run(t, "", "ip", "link", "set", "lo", "up")
	return n
}

// netnsPrefix begins the names of namespaces; the PID of the test and a number
// follow.
const netnsPrefix = "mailweir-"

// sweep removes the namespaces of tests that have died.
func sweep(t testing.TB) {
	t.Helper()
	left, err := filepath.Glob("/run/netns/" + netnsPrefix + "*-*")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range left {
		name := filepath.Base(path)
		pid, _, _ := strings.Cut(strings.TrimPrefix(name, netnsPrefix), "-")
		if _, err := os.Stat("/proc/" + pid); os.IsNotExist(err) {
			// Another test may be faster.
			exec.Command(find("ip"), "netns", "delete", name).Run()
		}
	}
}

// Do calls f on a thread that is in the namespace: what f dials or listens at is
// there, and stays there. f must not start goroutines that do so.
func (n *Netns) Do(f func() error) error {
	if n == nil {
		return f()
	}
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		if err := enter(n.name); err != nil {
			done <- fmt.Errorf("network namespace %s: %w", n.name, err)
			return
		}
		done <- f()
	}()
	return <-done
}

// Listen is net.Listen in the namespace.
func (n *Netns) Listen(network, addr string) (l net.Listener, err error) {
	err = n.Do(func() error {
		l, err = net.Listen(network, addr)
		return err
	})
	return l, err
}

// dial is net.DialTimeout in the namespace.
func (n *Netns) dial(network, addr string, timeout time.Duration) (c net.Conn, err error) {
	err = n.Do(func() error {
		c, err = net.DialTimeout(network, addr, timeout)
		return err
	})
	return c, err
}

// FreeAddr returns the namespace's IPv4 address with a free port.
func (n *Netns) FreeAddr(t testing.TB) string {
	t.Helper()
	if n == nil {
		return FreeAddr(t)
	}
	var addr string
	err := n.Do(func() (err error) {
		addr, err = proc.FreeAddr(n.IPv4.String())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// host returns the address where servers listen.
func (n *Netns) host() string {
	if n == nil {
		return "127.0.0.1"
	}
	return n.IPv4.String()
}

// addr6 returns the IPv6 address that goes with the IPv4 address, port included;
// "" where there is none.
func (n *Netns) addr6(addr string) string {
	if n == nil {
		return ""
	}
	return netip.AddrPortFrom(n.IPv6, netip.MustParseAddrPort(addr).Port()).String()
}

// command is exec.Command in the namespace.
func (n *Netns) command(program string, args ...string) *exec.Cmd {
	if n == nil {
		return exec.Command(program, args...)
	}
	return exec.Command(find("ip"), append([]string{"netns", "exec", n.name, program}, args...)...)
}

// Run runs a program of the system in the namespace, and returns what it prints.
// It must succeed.
func (n *Netns) Run(t testing.TB, stdin, program string, args ...string) string {
	t.Helper()
	out, exit := run{where: n, stdin: stdin}.program(t, time.Minute, program, args...)
	if exit != 0 {
		t.Fatalf("%s %q: status %d\n%s", program, args, exit, out)
	}
	return out
}
