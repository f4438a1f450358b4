package peer

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/mailweir/mailweir/proxy/internal/peer/proc"
)

// A NameDaemon is a real name server, in a directory of its own.
type NameDaemon struct {
	Addr string // where it answers

	*proc.Process
	name string
	args []string
	dir  string
}

// RBLDNSD starts an rbldnsd with a list of addresses in each zone: as text, in
// the form of its ip4set. It reads them anew when they change.
func RBLDNSD(t testing.TB, zones map[string]string) *NameDaemon {
	t.Helper()
	return namesOf(t, "rbldnsd", func(dir, host, port string) []string {
		args := []string{"-n", "-b", host + "/" + port, "-w", dir, "-t", "60", "-c", "1"}
		if os.Getuid() == 0 { // it refuses to be that
			args = append(args, "-u", "nobody:nogroup")
		}
		for zone, list := range zones {
			writeFile(t, filepath.Join(dir, zone), list)
			args = append(args, zone+":ip4set:"+zone)
		}
		return args
	})
}

// NSD starts an nsd that is in authority over the zones. Their text is that of
// zone files, without SOA and NS records.
func NSD(t testing.TB, zones map[string]string) *NameDaemon {
	t.Helper()
	return namesOf(t, "nsd", func(dir, host, port string) []string {
		var conf strings.Builder
		fmt.Fprintf(&conf, nsdConf, host, port, dir)
		for zone, records := range zones {
			file := filepath.Join(dir, zone+".zone")
			writeFile(t, file, fmt.Sprintf(zoneHead, zone)+records)
			fmt.Fprintf(&conf, "zone:\n  name: %q\n  zonefile: %q\n", zone, file)
		}
		file := filepath.Join(dir, "nsd.conf")
		writeFile(t, file, conf.String())
		return []string{"-d", "-c", file}
	})
}

const nsdConf = `server:
  ip-address: %[1]s@%[2]s
  username: ""
  chroot: ""
  zonesdir: %[3]q
  pidfile: "%[3]s/nsd.pid"
  xfrdfile: "%[3]s/xfrd.state"
  zonelistfile: "%[3]s/zone.list"
  xfrdir: %[3]q
  database: ""
  server-count: 1
  ipv4-edns-size: 1232
remote-control:
  control-enable: no
`

const zoneHead = `$ORIGIN %s.
$TTL 60
@ SOA ns.test.example. hostmaster.test.example. 1 3600 600 86400 60
@ NS ns.test.example.
`

// Unbound starts an unbound that asks the servers of the zones, and says of all
// other names that they do not exist: nothing leaves the machine.
func Unbound(t testing.TB, stubs map[string]string) *NameDaemon {
	t.Helper()
	return namesOf(t, "unbound", func(dir, host, port string) []string {
		var conf strings.Builder
		fmt.Fprintf(&conf, unboundConf, host, port, dir)
		for zone := range stubs {
			fmt.Fprintf(&conf, "  local-zone: %q transparent\n", zone+".")
		}
		for zone, server := range stubs {
			fmt.Fprintf(&conf, "stub-zone:\n  name: %q\n  stub-addr: %s\n  stub-prime: no\n",
				zone, strings.Replace(server, ":", "@", 1))
		}
		conf.WriteString("remote-control:\n  control-enable: no\n")
		file := filepath.Join(dir, "unbound.conf")
		writeFile(t, file, conf.String())
		return []string{"-d", "-c", file}
	})
}

const unboundConf = `server:
  interface: %[1]s@%[2]s
  port: %[2]s
  chroot: ""
  username: ""
  directory: %[3]q
  pidfile: "%[3]s/unbound.pid"
  use-syslog: no
  do-daemonize: no
  do-not-query-localhost: no
  do-ip6: no
  num-threads: 1
  module-config: "iterator"
  local-zone: "." static
`

// namesOf starts a name server, with the arguments that args makes for one with
// files in dir that answers at host and port. It ends with the test.
func namesOf(t testing.TB, name string, args func(dir, host, port string) []string) *NameDaemon {
	t.Helper()
	program := Unpacked(name)
	if program == "" {
		absent(t, "%s is neither installed nor unpacked: make test does that, as root on Debian", name)
	}
	var err error
	for range 3 { // another process may have taken the free port
		d := &NameDaemon{Addr: FreeAddr(t), name: name, dir: namesDir(t)}
		host, port, _ := net.SplitHostPort(d.Addr)
		d.args = append([]string{program}, args(d.dir, host, port)...)
		if err = d.start(); err == nil {
			t.Cleanup(func() { d.stop(t) })
			return d
		}
		t.Logf("%s: %s", name, d.said())
	}
	t.Fatal(err)
	return nil
}

// Start lets a name server answer again that has been killed.
func (d *NameDaemon) Start(t testing.TB) {
	t.Helper()
	if err := d.start(); err != nil {
		t.Fatalf("%v\n%s", err, d.said())
	}
}

func (d *NameDaemon) start() error {
	out, err := os.OpenFile(filepath.Join(d.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer out.Close()
	if d.Process, err = proc.Start(exec.Command(d.args[0], d.args[1:]...), out); err != nil {
		return err
	}
	if err := d.answering(20 * time.Second); err != nil {
		d.Kill()
		return err
	}
	return nil
}

// answering waits until the server answers whatever it is asked.
func (d *NameDaemon) answering(timeout time.Duration) error {
	question := new(dns.Msg).SetQuestion("test.example.", dns.TypeA)
	client := dns.Client{Timeout: 100 * time.Millisecond}
	var err error
	for deadline := time.Now().Add(timeout); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if _, _, err = client.Exchange(question, d.Addr); err == nil {
			return nil
		}
		if d.Ended() {
			break
		}
	}
	return fmt.Errorf("%s does not answer at %s: %w", d.name, d.Addr, err)
}

func (d *NameDaemon) stop(t testing.TB) {
	d.Stop(10 * time.Second)
	if t.Failed() {
		t.Logf("the end of what %s said:\n%s", d.name, tail(d.said()))
	}
}

func (d *NameDaemon) said() string {
	data, _ := os.ReadFile(filepath.Join(d.dir, "log"))
	return string(data)
}

// Unpacked returns the path of a program that is installed, or has been
// unpacked for these tests; "" for none.
func Unpacked(program string) string {
	if path := find(program); path != "" {
		return path
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return find(filepath.Join(cache, "mailweir", "peers", program, "usr/sbin", program))
}

// namesDir makes a directory that a server can read which is nobody.
func namesDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "mailweir-names-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func writeFile(t testing.TB, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
