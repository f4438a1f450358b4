package flood

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A Watch looks at the metrics of a mailweir.
type Watch struct {
	client     http.Client
	Goroutines int // most that were seen
}

// NewWatch returns a watch of what is served at a Unix socket.
func NewWatch(socket string) *Watch {
	return &Watch{client: http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		},
	}}}
}

// Close ends it.
func (w *Watch) Close() { w.client.CloseIdleConnections() }

// Look returns the metrics, by name and labels, as they are.
func (w *Watch) Look() (map[string]float64, error) {
	resp, err := w.client.Get("http://mailweir/metrics")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	all := make(map[string]float64)
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		name, text, _ := strings.Cut(lines.Text(), "} ")
		if !strings.Contains(name, "{") {
			name, text, _ = strings.Cut(lines.Text(), " ")
		}
		if value, err := strconv.ParseFloat(text, 64); err == nil {
			all[name] = value
		}
	}
	w.Goroutines = max(w.Goroutines, int(all["go_goroutines"]))
	return all, lines.Err()
}

// Run looks again and again until done.
func (w *Watch) Run(done <-chan struct{}) {
	for {
		w.Look()
		select {
		case <-done:
			return
		case <-time.After(250 * time.Millisecond):
		}
	}
}

// Limits returns how often each limit was hit, by reason.
func (w *Watch) Limits() (map[string]int, error) {
	all, err := w.Look()
	limits := make(map[string]int)
	for name, n := range all {
		if strings.HasPrefix(name, "mailweir_limits_total{") && n > 0 {
			_, reason, _ := strings.Cut(name, `reason="`)
			limits[strings.TrimSuffix(reason, `"`)] += int(n)
		}
	}
	return limits, err
}

// Collect makes it collect its garbage. It must serve profiles.
func (w *Watch) Collect() error {
	resp, err := w.client.Get("http://mailweir/debug/pprof/heap?gc=1")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}
