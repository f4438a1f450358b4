package peer

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mailweir/mailweir/proxy/internal/peer/proc"
)

// A Relay is a running mailweir whose listeners relay.
type Relay struct {
	*proc.Process
	Addr  string   // where clients connect
	Addr6 string   // the same in IPv6; "" outside of a namespace
	More  []string // where clients connect to the other listeners, as the options say
	Dir   string   // of the configuration, mailweir.yaml

	logFile
}

// RelayOptions are what a test may want of its mailweir as a relay. All of them
// but the last two are YAML.
type RelayOptions struct {
	Listener string   // keys of the listener but name and address, as {upstream: ..., key: value}
	More     []string // other listeners, each as Listener
	Top      string   // more of the configuration's keys, such as "upstreams:\n  - ..."
	Chain    string   // entries of the chain, as [{kind: {...}}, ...]; none if empty
	Netns    *Netns   // where it runs, and listens on all addresses
	Names    string   // the address of a name server; one that knows client.test.example if empty
}

// Relay runs mailweir in front of upstream. listener and chain are YAML: more
// keys of the listener, as {key: value, ...}, and the entries of the chain,
// as [{kind: {...}}, ...]. It ends with the test.
func (m Mailweir) Relay(t testing.TB, upstream, listener, chain string) *Relay {
	t.Helper()
	listener = fmt.Sprintf("{upstream: {address: %q}, %s}", upstream, inBraces(listener))
	return m.RelayWith(t, RelayOptions{Listener: listener, Chain: chain})
}

// RelayWith runs mailweir. Its listeners are named mx, more1, more2 and so on. It
// ends with the test.
func (m Mailweir) RelayWith(t testing.TB, o RelayOptions) *Relay {
	t.Helper()
	if o.Names == "" {
		o.Names = clientNames(t, o.Netns)
	}
	var err error
	for range 3 { // another process may have taken the free port
		dir := t.TempDir()
		r := &Relay{Addr: o.Netns.FreeAddr(t), Dir: dir, logFile: logFile(filepath.Join(dir, "log"))}
		r.Addr6 = o.Netns.addr6(r.Addr)
		for range o.More {
			r.More = append(r.More, o.Netns.FreeAddr(t))
		}
		r.Process = m.serve(t, o.Netns, dir, r.config(o), r.logFile)
		if err = r.listening(0); err == nil {
			t.Cleanup(func() { stopMailweir(t, r.Process, r.logFile) })
			return r
		}
		r.Stop(time.Second)
		t.Logf("mailweir: %s", r.Log())
	}
	t.Fatal(err)
	return nil
}

// Reload replaces text in the configuration, and has mailweir load it. The log has
// a record when it has.
func (r *Relay) Reload(t testing.TB, old, new string) {
	t.Helper()
	file := filepath.Join(r.Dir, "mailweir.yaml")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file+".new", []byte(strings.ReplaceAll(string(data), old, new)), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(r.PID, syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}

// listening waits until all listeners do, of which the log had told so many
// before. It connects to none: not each of them has a mind for who comes and
// goes, and whoever calls a free port may come out at it, and talk to itself.
func (r *Relay) listening(before int) error {
	return r.Until("listens", 20*time.Second, func() bool { return r.listens() == before+1+len(r.More) })
}

// listens counts the records of the log that tell of a listener.
func (r *Relay) listens() int { return strings.Count(r.Log(), `"msg":"listening"`) }

func (r *Relay) config(o RelayOptions) string {
	var listeners strings.Builder
	for i, addr := range append([]string{r.Addr}, r.More...) {
		name, keys := "mx", o.Listener
		if i > 0 {
			name, keys = fmt.Sprintf("more%d", i), o.More[i-1]
		}
		if o.Netns != nil {
			_, port, _ := strings.Cut(addr, ":")
			addr = ":" + port
		}
		fmt.Fprintf(&listeners, "  - {name: %s, address: %q, %s}\n", name, addr, inBraces(keys))
	}
	chain := o.Chain
	if chain == "" {
		chain = "[]"
	}
	return fmt.Sprintf(`hostname: relay.test.example
log: {level: info, format: json}
dns: {servers: [%q]}
listeners:
%schain: %s
%s
`, o.Names, &listeners, chain, o.Top)
}

// inBraces returns what a map in YAML holds, which may be spelt without its braces.
func inBraces(text string) string {
	text = strings.TrimSpace(text)
	if inner, ok := strings.CutPrefix(text, "{"); ok {
		return strings.TrimSuffix(inner, "}")
	}
	return text
}
