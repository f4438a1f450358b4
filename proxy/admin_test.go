package proxy_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"go.uber.org/goleak"

	"github.com/mailweir/mailweir/configs"
	"github.com/mailweir/mailweir/filters/standard"
	"github.com/mailweir/mailweir/proxy"
)

// watchedConfig is a relay that nobody mails through.
const watchedConfig = `
listeners: [{name: mx, address: "127.0.0.1:0", upstream: {address: "127.0.0.1:10025"}}]
chain: [{access: {deny: [192.0.2.0/24]}}, {helo: {}}, {size: {}}, {rcpt: {}}]
`

// running is a server that serves.
type running struct {
	*proxy.Server
	log    syncBuffer
	served chan error
}

func newServer(t *testing.T, config string, log io.Writer) *proxy.Server {
	t.Helper()
	c, err := configs.Parse(standard.Kinds(), "mx.yaml", []byte(watchedConfig+config))
	if err != nil {
		t.Fatal(err)
	}
	c.Version = "v1.2.3"
	s, err := proxy.New(c, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func run(t *testing.T, config string) *running {
	t.Helper()
	r := &running{served: make(chan error, 1)}
	r.Server = newServer(t, config, &r.log)
	if err := r.Listen(); err != nil {
		r.stop(t)
		t.Fatal(err)
	}
	go func() { r.served <- r.Serve() }()
	return r
}

func (r *running) stop(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := r.Shutdown(ctx); err != nil {
		t.Errorf("shutdown: %v", err)
	}
	if r.served == nil {
		return
	}
	if err := <-r.served; err != nil {
		t.Errorf("serve: %v", err)
	}
}

// get asks for a page and returns status and body.
func get(t *testing.T, client *http.Client, method, url string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// page is a client that keeps no connection.
func page(dial func(context.Context, string, string) (net.Conn, error)) *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: dial}, Timeout: patience}
}

func TestMetrics(t *testing.T) {
	leaks := goleak.IgnoreCurrent()
	defer goleak.VerifyNone(t, leaks)
	r := run(t, `admin: {address: "127.0.0.1:0"}`)
	defer r.stop(t)
	at := "http://" + r.AdminAddr().String()
	client := page(nil)

	connect(t, r.Addr("mx").String())
	status, text := get(t, client, "GET", at+"/metrics")
	if status != http.StatusOK {
		t.Fatalf("%d %s", status, text)
	}
	for _, line := range []string{
		`mailweir_build_info{goversion="go`, `version="v1.2.3"} 1`,
		`mailweir_sessions{listener="mx"} `, `mailweir_filter_seconds_count{filter="helo",stage="helo"} 0`,
		`mailweir_transactions_total{listener="mx",outcome="accepted"} 0`, `mailweir_spool_bytes{place="disk"} 0`,
		`mailweir_upstream_seconds_count{group="listener mx",step="end_of_data"} 0`,
		"mailweir_state_write_failures_total 0", "go_goroutines ", "process_cpu_seconds_total ",
	} {
		if !strings.Contains(text, line) {
			t.Errorf("no %q", line)
		}
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
	for _, page := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/", 404}, {"GET", "/metrics/", 404}, {"GET", "/debug/pprof/", 404}, {"GET", "//metrics", 404},
		{"POST", "/metrics", 405}, {"DELETE", "/", 404}, {"HEAD", "/metrics", 200},
		{"GET", "/healthz", 200}, {"HEAD", "/healthz", 200}, {"POST", "/healthz", 405}, {"GET", "/healthz/", 404},
		{"GET", "/readyz", 200}, {"HEAD", "/readyz", 200}, {"POST", "/readyz", 405},
	} {
		status, text := get(t, client, page.method, at+page.path)
		if status != page.status || strings.Contains(text, "<") && status != 200 {
			t.Errorf("%s %s: %d %q, want %d", page.method, page.path, status, text, page.status)
		}
	}
	if log := r.log.String(); strings.Contains(log, "level=WARN") {
		t.Error(log)
	}
}

// connect has one client connect and hear the greeting, whatever it is.
func connect(t *testing.T, address string) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	conn.Read(make([]byte, 100))
}

func TestMetricsUnix(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin")
	r := run(t, fmt.Sprintf(`admin: {address: "unix:%s"}`, path))
	client := page(func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	})
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("%v, %v", info, err)
	}
	if status, _ := get(t, client, "GET", "http://mailweir/metrics"); status != 200 {
		t.Error(status)
	}
	r.stop(t)
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is left behind: %v", err)
	}
}

func TestMetricsOnAllAddresses(t *testing.T) {
	r := run(t, `admin: {address: "0.0.0.0:0"}`)
	defer r.stop(t)
	if log := r.log.String(); !strings.Contains(log, "level=WARN msg=\"metrics are served to every machine") {
		t.Error(log)
	}
}

func TestNoMetrics(t *testing.T) {
	r := run(t, "")
	defer r.stop(t)
	if r.AdminAddr() != nil {
		t.Error(r.AdminAddr())
	}
}

// What one cannot open, leaves the rest closed, and it can be tried again.
func TestListenAllOrNothing(t *testing.T) {
	leaks := goleak.IgnoreCurrent()
	defer goleak.VerifyNone(t, leaks)
	config := fmt.Sprintf("state: {file: %q}\nadmin: {address: \"127.0.0.1:0\"}", filepath.Join(t.TempDir(), "state"))
	first := run(t, config)
	var log syncBuffer
	second := newServer(t, config, &log)
	if err := second.Listen(); err == nil || !strings.Contains(err.Error(), "is in use by another process") {
		t.Errorf("%v", err)
	}
	if second.AdminAddr() != nil {
		t.Error("the metrics' socket is open")
	}
	first.stop(t)
	if err := second.Listen(); err != nil {
		t.Error(err)
	}
	r := &running{Server: second}
	r.stop(t)
}

// Check opens nothing that a running mailweir may have open.
func TestCheckTouchesNothing(t *testing.T) {
	leaks := goleak.IgnoreCurrent()
	defer goleak.VerifyNone(t, leaks)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	names, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer names.Close()
	file := filepath.Join(t.TempDir(), "state")
	c, err := configs.Parse(standard.Kinds(), "mx.yaml", fmt.Appendf(nil, watchedConfig+`
admin: {address: %q}
state: {file: %q}
dns: {servers: [%q]}
`, taken.Addr(), file, names.LocalAddr()))
	if err != nil {
		t.Fatal(err)
	}
	if err := proxy.Check(c, slog.New(slog.DiscardHandler)); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("there is a state file: %v", err)
	}
	names.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, _, err := names.ReadFrom(make([]byte, 512)); err == nil {
		t.Errorf("the name server was asked in %d octets", n)
	}
}
