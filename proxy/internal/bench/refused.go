package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	harness "github.com/mailweir/mailweir/proxy/internal/peer"
)

// refusals are connections of clients whom the peers deny, each by its own means.
var refusals = workload{name: "Denied clients", messages: 15_000, sessions: 10}

// denied is the network of these clients. It is one of deniedNets networks.
const (
	denied     = "127.1.0.0/24"
	deniedNets = 100_000
)

// A gatekeeper is what refuses them.
type gatekeeper struct {
	name  string
	addr  string
	says  string // how its refusal begins; "" for a close without a word
	cpu   func() (time.Duration, error)
	check func(refused int) error // of its log; nil for none
}

// measureRefused returns, as a table, what a client costs that is denied by its
// address.
func (f *field) measureRefused(ctx context.Context, rounds int, scale float64) (string, error) {
	h := &hold{}
	defer h.end()
	keepers, err := f.startGatekeepers(h)
	if err != nil {
		return "", err
	}
	w := refusals.scaled(scale)
	results, err := measure(ctx, "", w, rounds, keepers)
	if err != nil {
		return "", err
	}
	for _, k := range keepers {
		if k.check == nil {
			continue
		}
		if err := k.check(w.messages * (rounds + 1)); err != nil {
			return "", fmt.Errorf("%s: %w", k.name, err)
		}
	}
	return refusedTable(w, keepers, results, rounds), nil
}

// startGatekeepers starts all that are installed.
func (f *field) startGatekeepers(h *hold) ([]*gatekeeper, error) {
	list := filepath.Join(f.dir, "denied")
	if err := os.WriteFile(list, deniedList(), 0o644); err != nil {
		return nil, err
	}
	var keepers []*gatekeeper
	for _, r := range f.runners {
		configure := map[string]func(string) func(file, addr, upstream string) ([]string, error){
			baseline: haproxyDenies, ourName: mailweirDenies,
		}[r.name]
		if configure == nil {
			continue
		}
		started, err := peer{name: r.name, configure: configure(list)}.run(r.file, f.dir, f.sink.addr)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.name, err)
		}
		h.Cleanup(started.stop)
		k := &gatekeeper{name: r.name, addr: started.addr, cpu: started.cpu}
		if r.isOurs() {
			k.says = "521 5.7.1 "
			k.check = func(n int) error { return counted(started.log, `"msg":"refused"`, n) }
		}
		keepers = append(keepers, k)
	}
	screen, err := startScreen(h)
	if errors.Is(err, errNotInstalled) {
		fmt.Fprintf(os.Stderr, "postscreen: %v: not measured\n", err)
		return keepers, nil
	}
	return append(keepers, screen), err
}

// deniedList is the networks, a line each.
func deniedList() []byte {
	var list bytes.Buffer
	for i := range deniedNets - 1 {
		fmt.Fprintf(&list, "%d.%d.%d.0/24\n", 11+i>>16, i>>8&255, i&255)
	}
	list.WriteString(denied + "\n")
	return list.Bytes()
}

func haproxyDenies(list string) func(string, string, string) ([]string, error) {
	return func(file, addr, upstream string) ([]string, error) {
		text := fmt.Sprintf(haproxyConfig, runtime.NumCPU(), addr, upstream, fmt.Sprintf("  tcp-request connection reject if { src -f %s }\n", list))
		return []string{"-db", "-f", file}, os.WriteFile(file, []byte(text), 0o644)
	}
}

const mailweirDeniesConfig = `hostname: relay.test.example
log: {level: info, format: json}
listeners:
  - {name: mx, address: %q, upstream: {address: %q}}
chain:
  - access: {deny_files: [%q]}
    action: drop
`

func mailweirDenies(list string) func(string, string, string) ([]string, error) {
	return func(file, addr, upstream string) ([]string, error) {
		text := fmt.Sprintf(mailweirDeniesConfig, addr, upstream, list)
		return []string{"serve", "--config", file}, os.WriteFile(file, []byte(text), 0o644)
	}
}

// startScreen starts a Postfix behind its postscreen. Tables of networks are
// searched line by line there: it gets one line.
func startScreen(h *hold) (*gatekeeper, error) {
	var postfix *harness.PostfixInstance
	err := try(func() {
		postfix = harness.Postfix(h, harness.PostfixOptions{Screen: true, Main: map[string]string{
			"postscreen_access_list":     "cidr:{{" + denied + " reject}}",
			"postscreen_denylist_action": "drop",
		}})
	})
	if err != nil {
		return nil, err
	}
	master, err := masterOf(postfix)
	if err != nil {
		return nil, err
	}
	return &gatekeeper{
		name: "postscreen", addr: postfix.Addr, says: "521 5.3.2 ",
		cpu: master.CPU,
	}, nil
}

// counted holds a log to so many records. The last ones may be on their way.
func counted(file, record string, want int) error {
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		log, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		n := bytes.Count(log, []byte(record))
		if n == want {
			return nil
		}
		if n > want || time.Now().After(deadline) {
			return fmt.Errorf("%d records %s in the log, want %d", n, record, want)
		}
	}
}

func (k *gatekeeper) title() string { return k.name }

func (k *gatekeeper) measure(ctx context.Context, _ string, w workload) (result, error) {
	before, err := k.cpu()
	if err != nil {
		return result{}, err
	}
	began := time.Now()
	if err := k.crowd(ctx, w); err != nil {
		return result{}, err
	}
	took := time.Since(began)
	time.Sleep(settling)
	after, err := k.cpu()
	return result{took: took, cpu: after - before}, err
}

// crowd has the clients connect, so many at once, each of them from an address of
// its own.
func (k *gatekeeper) crowd(ctx context.Context, w workload) error {
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	var left atomic.Int64
	left.Store(int64(w.messages))
	errs := make([]error, w.sessions)
	var clients sync.WaitGroup
	for i := range errs {
		dialer := net.Dialer{KeepAlive: -1, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 1, 0, byte(i+1))}}
		clients.Go(func() {
			for errs[i] == nil && left.Add(-1) >= 0 {
				errs[i] = k.visit(ctx, &dialer)
			}
		})
	}
	clients.Wait()
	return errors.Join(errs...)
}

// visit connects once, and waits to be refused. Whoever says nothing may also
// reset the connection.
func (k *gatekeeper) visit(ctx context.Context, dialer *net.Dialer) error {
	said, err := lastWords(ctx, dialer, k.addr)
	if k.says == "" && errors.Is(err, syscall.ECONNRESET) {
		return nil
	}
	if err == nil && (!strings.HasPrefix(said, k.says) || k.says == "" && said != "") {
		err = fmt.Errorf("it says %q", said)
	}
	return err
}

// lastWords returns all that is said to who connects and is silent.
func lastWords(ctx context.Context, dialer *net.Dialer, addr string) (string, error) {
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	said, err := io.ReadAll(conn)
	return string(said), err
}

// refusedTable returns, and prints, the results.
func refusedTable(w workload, keepers []*gatekeeper, results map[string][]result, rounds int) string {
	var text strings.Builder
	fmt.Fprintf(&text, "\n### %s\n\n%d connections, %d at once, refused as they come; median of %d rounds (least to most).\n\n",
		w.name, w.messages, w.sessions, rounds)
	fmt.Fprintf(&text, "| | connections/s | CPU per connection, µs | CPU beside %s |\n| --- | ---: | ---: | ---: |\n", baseline)
	n := float64(w.messages)
	for _, k := range keepers {
		rs := results[k.name]
		fmt.Fprintf(&text, "| %s | %s | %s | %s |\n", k.name,
			spread(rs, 0, func(r result) float64 { return n / r.took.Seconds() }),
			spread(rs, 1, func(r result) float64 { return r.cpu.Seconds() * 1e6 / n }),
			beside(rs, results[baseline]))
	}
	fmt.Print(text.String())
	return text.String()
}
