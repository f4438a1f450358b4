package proxy_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// A parent starts mailweir as systemd does.
type parent struct {
	t       *testing.T
	program string
	file    string // the configuration
	environ []string

	sockets []*os.File // that are passed
	names   []string
}

func newParent(t *testing.T, config string) *parent {
	t.Helper()
	dir := openDir(t)
	p := &parent{t: t, program: filepath.Join(dir, "mailweir"), file: filepath.Join(dir, "mailweir.yaml")}
	if err := os.Rename(string(peer.BuildMailweir(t)), p.program); err != nil {
		t.Fatal(err)
	}
	p.configure(config)
	return p
}

// openDir returns a folder that all users may enter, unlike that of t.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "mailweir-test-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func (p *parent) configure(text string) {
	p.t.Helper()
	if err := os.WriteFile(p.file, []byte(text), 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// pass opens a socket that is passed to all that are started from now on, and
// returns where it is.
func (p *parent) pass(name, network, address string) string {
	p.t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		p.t.Fatal(err)
	}
	if unix, ok := l.(*net.UnixListener); ok {
		unix.SetUnlinkOnClose(false)
	}
	f, err := l.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		p.t.Fatal(err)
	}
	l.Close()
	p.t.Cleanup(func() { f.Close() })
	p.sockets, p.names = append(p.sockets, f), append(p.names, name)
	return l.Addr().String()
}

// A child is a mailweir that tells its parent how it is.
type child struct {
	*parent
	cmd   *exec.Cmd
	log   *syncBuffer
	told  *syncBuffer // all that it has told, with empty lines between
	ended chan struct{}
	err   error // why it ended; valid once ended is closed
}

// start starts mailweir with more arguments, and returns at once.
func (p *parent) start(args ...string) *child {
	p.t.Helper()
	c := &child{parent: p, log: new(syncBuffer), told: new(syncBuffer), ended: make(chan struct{})}
	args = append([]string{"-c", `test -z "$LISTEN_FDS" || export LISTEN_PID=$$; exec "$0" "$@"`, p.program, "serve", "--config", p.file}, args...)
	c.cmd = exec.Command("sh", args...)
	c.cmd.Env = append(os.Environ(), p.environ...)
	if len(p.names) > 0 {
		c.cmd.Env = append(c.cmd.Env, "LISTEN_FDS="+strconv.Itoa(len(p.names)), "LISTEN_FDNAMES="+strings.Join(p.names, ":"))
	}
	c.cmd.Env = append(c.cmd.Env, "NOTIFY_SOCKET="+c.listen())
	c.cmd.ExtraFiles = p.sockets
	c.cmd.Stderr = c.log
	if err := c.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	go func() {
		c.err = c.cmd.Wait()
		close(c.ended)
	}()
	p.t.Cleanup(func() {
		c.cmd.Process.Kill()
		<-c.ended
		if p.t.Failed() {
			p.t.Logf("process %d:\n%s\nit has told:\n%s", c.cmd.Process.Pid, endOf(c.log.String()), c.told)
		}
	})
	return c
}

// endOf returns the last lines of a log.
func endOf(log string) string {
	const most = 4000
	if len(log) > most {
		log = "..." + log[len(log)-most:]
	}
	return log
}

// listen opens the socket at which the child tells how it is.
func (c *child) listen() string {
	c.t.Helper()
	name := filepath.Join(openDir(c.t), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		c.t.Fatal(err)
	}
	if err := os.Chmod(name, 0o666); err != nil {
		c.t.Fatal(err)
	}
	var done sync.WaitGroup
	done.Go(func() {
		buf := make([]byte, 4096)
		for {
			n, err := l.Read(buf)
			if err != nil {
				return
			}
			c.told.Write(append(buf[:n:n], "\n\n"...))
		}
	})
	c.t.Cleanup(func() {
		l.Close()
		done.Wait()
	})
	return name
}

// ready waits until the child has told so.
func (c *child) ready() *child {
	c.t.Helper()
	c.tells("READY=1")
	return c
}

// tells waits until the child has told that line.
func (c *child) tells(line string) {
	c.t.Helper()
	until(c.t, line, func() bool {
		select {
		case <-c.ended:
			c.t.Fatalf("it has ended before it told %s: %v\n%s", line, c.err, c.log)
		default:
		}
		return strings.Contains("\n"+c.told.String(), "\n"+line)
	})
}

func (c *child) signal(s os.Signal) {
	c.t.Helper()
	if err := c.cmd.Process.Signal(s); err != nil {
		c.t.Fatal(err)
	}
}

// stop tells the child to stop, and waits for that.
func (c *child) stop() {
	c.t.Helper()
	c.signal(syscall.SIGTERM)
	c.wait()
}

// wait waits for the child's end, which must be in order.
func (c *child) wait() {
	c.t.Helper()
	c.end()
	if c.err != nil {
		c.t.Errorf("mailweir: %v\n%s", c.err, c.log)
	}
}

// end waits for the child's end.
func (c *child) end() {
	c.t.Helper()
	until(c.t, "mailweir has ended", func() bool {
		select {
		case <-c.ended:
			return true
		default:
			return false
		}
	})
}
