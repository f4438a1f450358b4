package peer

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mailweir/mailweir/proxy/internal/peer/proc"
)

// HAProxyOptions are what a test may want of its haproxy.
type HAProxyOptions struct {
	Backend  string       // where all connections go, as host:port
	Header   string       // what it tells there of its client: "send-proxy", "send-proxy-v2", "send-proxy-v2-ssl-cn"; "" nothing
	TLS      *Certificate // it talks TLS with its clients, and none behind; nil: it does not look
	ClientCA string       // file; with TLS it asks clients for a certificate of that authority
	Check    bool         // sends EHLO and QUIT five times a second, each after the header
}

// A HAProxyInstance is a private haproxy, in a directory of its own.
type HAProxyInstance struct {
	Addr string // where it takes connections

	log logFile
	run *proc.Process
}

// HAProxy starts a haproxy that passes octets on. It ends with the test, and when
// that has failed, shows the end of its log.
func HAProxy(t testing.TB, o HAProxyOptions) *HAProxyInstance {
	t.Helper()
	Need(t, "haproxy", "haproxy")
	var err error
	for range 3 { // another process may have taken the free port
		dir := t.TempDir()
		h := &HAProxyInstance{Addr: FreeAddr(t), log: logFile(filepath.Join(dir, "log"))}
		file := filepath.Join(dir, "haproxy.cfg")
		writeFile(t, file, o.config(t, h.Addr))
		if err = h.start(file); err == nil {
			t.Cleanup(func() { h.stop(t) })
			return h
		}
		h.run.Stop(time.Second)
		t.Logf("haproxy: %s", h.Log())
	}
	t.Fatal(err)
	return nil
}

const haproxyConf = `global
  log stdout format raw daemon
  ssl-server-verify none
defaults
  mode tcp
  log global
  log-format "client=%%ci:%%cp ended=%%ts ssl=%%sslv"
  option dontlognull
  option log-health-checks
  timeout connect 10s
  timeout check 20s
  timeout client 60s
  timeout server 60s
listen smtp
  bind %s %s
  %s
  server upstream %s %s
`

func (o HAProxyOptions) config(t testing.TB, addr string) string {
	t.Helper()
	bind, option, server := "", "", o.Header
	if o.TLS != nil {
		bind = "ssl crt " + o.TLS.together(t)
	}
	if o.ClientCA != "" {
		bind += " verify optional ca-file " + o.ClientCA
	}
	if o.Check {
		option = "option smtpchk EHLO haproxy.test.example"
		server += " check inter 200ms fall 1"
		if o.Header != "" {
			server += " check-send-proxy"
		}
	}
	return fmt.Sprintf(haproxyConf, addr, bind, option, o.Backend, server)
}

func (h *HAProxyInstance) start(file string) error {
	out, err := os.OpenFile(string(h.log), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer out.Close()
	// -db: one process, in the foreground.
	if h.run, err = proc.Start((*Netns)(nil).command(find("haproxy"), "-db", "-f", file), out); err != nil {
		return err
	}
	return h.run.Listening(h.Addr, 20*time.Second)
}

// Log returns all that haproxy has logged: a line at the end of each connection,
// with client=address:port, ended=CODE and ssl=VERSION, and one for each change of
// what it thinks of its backend's health.
func (h *HAProxyInstance) Log() string { return h.log.Log() }

func (h *HAProxyInstance) stop(t testing.TB) {
	// It ends at once, with the status of SIGTERM.
	h.run.Stop(10 * time.Second)
	if t.Failed() {
		t.Logf("the end of haproxy's log:\n%s", tail(h.Log()))
	}
}
