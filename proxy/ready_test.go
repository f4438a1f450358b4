package proxy_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// ready asks whether clients should be sent there.
func (r *running) ready(t *testing.T) (status int, why string) {
	t.Helper()
	return get(t, page(nil), http.MethodGet, "http://"+r.AdminAddr().String()+"/readyz")
}

func (r *running) wantReady(t *testing.T, status int, why string) {
	t.Helper()
	if got, text := r.ready(t); got != status || !strings.Contains(text, why) {
		t.Errorf("%d %q, want %d and %q", got, text, status, why)
	}
}

// before is a listener that lets a group of one server alone once it has failed.
func before(upstream string) string {
	return fmt.Sprintf(`hostname: weir.example
drain_timeout: 10s
admin: {address: "127.0.0.1:0"}
listeners: [{name: mx, address: "127.0.0.1:0", upstream: {address: %q, backoff: {first: 1h, max: 1h}}}]
chain: [{stamp: {version: a}}]
`, upstream)
}

// It is ready, until it is told to end: while a transaction still goes on, no
// others should come.
func TestReady(t *testing.T) {
	sink := peer.Sink(t)
	r := serveFile(t, before(sink.Addr))
	until(t, "it is ready", func() bool { status, _ := r.ready(t); return status == http.StatusOK })
	client := peer.Dial(t, r.Addr("mx").String())
	client.Do("250", "EHLO client.test.example")
	client.Do("250", "MAIL FROM:<a@test.example>")
	client.Do("250", "RCPT TO:<b@test.example>")
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.running.stop(t)
	}()
	until(t, "it is not ready", func() bool { status, _ := r.ready(t); return status == http.StatusServiceUnavailable })
	r.wantReady(t, http.StatusServiceUnavailable, "the program is ending\n")
	client.Do("354", "DATA")
	client.Do("250", "Subject: late\r\n\r\nHello\r\n.")
	client.Expect("421")
	<-ended
	r.served <- nil // for the end of the test
}

// A relay without an upstream is not ready, and says which; another configuration
// may help.
func TestNotReady(t *testing.T) {
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nowhere := dead.Addr().String()
	dead.Close()
	r := serveFile(t, before(nowhere))
	until(t, "it is ready", func() bool { status, _ := r.ready(t); return status == http.StatusOK })
	peer.Dial(t, r.Addr("mx").String()).Do("421", "EHLO client.test.example")
	r.wantReady(t, http.StatusServiceUnavailable, "listener mx: no server of its upstream can be reached: "+nowhere+"\n")
	if status, _ := get(t, page(nil), http.MethodGet, "http://"+r.AdminAddr().String()+"/healthz"); status != http.StatusOK {
		t.Errorf("healthz: %d", status)
	}
	r.reload(before(peer.Sink(t).Addr))
	r.wantReady(t, http.StatusOK, "ok\n")
}

// A milter needs no upstream to be ready; nothing is before it serves.
func TestReadyMilter(t *testing.T) {
	s := newServer(t, "", io.Discard)
	if err := s.Ready(); err == nil || !strings.Contains(err.Error(), "is starting") {
		t.Errorf("before it serves: %v", err)
	}
	r := &running{Server: s}
	r.stop(t)
	m := serveFile(t, fmt.Sprintf(`admin: {address: "127.0.0.1:0"}
listeners: [{name: mta, address: "unix:%s", mode: milter}]
chain: [{stamp: {version: a}}]
`, filepath.Join(t.TempDir(), "milter")))
	until(t, "it is ready", func() bool { status, _ := m.ready(t); return status == http.StatusOK })
}
