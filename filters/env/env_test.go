package env_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/env"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// nameServer answers A questions with 192.0.2.1.
func nameServer(t *testing.T) netip.AddrPort {
	t.Helper()
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{PacketConn: socket, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		a := new(dns.Msg)
		a.SetReply(q)
		a.Answer = append(a.Answer, &dns.A{
			Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 300},
			A:   net.IPv4(192, 0, 2, 1),
		})
		w.WriteMsg(a)
	})}
	done := make(chan struct{})
	go func() { defer close(done); server.ActivateAndServe() }()
	t.Cleanup(func() { socket.Close(); <-done })
	return socket.LocalAddr().(*net.UDPAddr).AddrPort()
}

func open(t *testing.T, o env.Options) *env.Host {
	t.Helper()
	o.Log = slog.New(slog.DiscardHandler)
	h, err := env.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestHost(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state")
	o := env.Options{
		Version: "v1",
		DNS:     env.DNS{Servers: []netip.AddrPort{nameServer(t)}, RandomCase: true},
		State:   env.State{File: file, Entries: 100},
	}
	h := open(t, o)
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is there before the start: %v", err)
	}
	if err := h.Start(); err != nil {
		t.Fatal(err)
	}
	e := h.Env()
	if e.Log == nil || time.Since(e.Now()) > time.Minute {
		t.Error("no log, or no clock")
	}
	a, err := e.Resolver.Lookup(t.Context(), filters.Question{Name: "mx.example.org", Type: filters.TypeA})
	if err != nil || len(a.Addrs) != 1 || a.Addrs[0].String() != "192.0.2.1" {
		t.Errorf("%v, %v", a, err)
	}
	e.Store.Put("kind/key", []byte("value"), time.Hour)
	e.Counter("mailweir_tests_total", "Tests.").Add(3)
	w := httptest.NewRecorder()
	h.Metrics().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, line := range []string{"mailweir_tests_total 3\n", `mailweir_state_entries{place="memory"} 1` + "\n", `version="v1"`} {
		if !strings.Contains(w.Body.String(), line) {
			t.Errorf("no %q in the metrics", line)
		}
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	if _, err := e.Resolver.Lookup(t.Context(), filters.Question{Name: "other.example.org", Type: filters.TypeA}); !errors.Is(err, context.Canceled) {
		t.Errorf("after Close: %v", err)
	}

	h = open(t, o)
	defer h.Close()
	if _, ok := h.Env().Store.Get("kind/key"); ok {
		t.Error("the file is read before the start")
	}
	if err := h.Start(); err != nil {
		t.Fatal(err)
	}
	if v, ok := h.Env().Store.Get("kind/key"); !ok || string(v) != "value" {
		t.Errorf("%q, %v", v, ok)
	}
	second := open(t, o)
	defer second.Close()
	if err := second.Start(); err == nil || !strings.HasPrefix(err.Error(), "state: "+file+" is in use") {
		t.Error(err)
	}
}

func TestMemoryOnly(t *testing.T) {
	h := open(t, env.Options{State: env.State{Entries: 10}})
	if err := h.Start(); err != nil {
		t.Error(err)
	}
	h.Env().Store.Put("kind/key", []byte("value"), time.Hour)
	if err := h.Close(); err != nil {
		t.Error(err)
	}
}

func TestWrongOptions(t *testing.T) {
	if _, err := env.Open(env.Options{Log: slog.New(slog.DiscardHandler), DNS: env.DNS{Tries: -1}}); err == nil {
		t.Error("nothing is wrong with a negative number of tries")
	}
}
