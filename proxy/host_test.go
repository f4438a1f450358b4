package proxy_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mailweir/mailweir/configs"
	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/filtertest"
	"github.com/mailweir/mailweir/proxy"
	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// guest is a filter that uses all that its host has.
type guest struct {
	env     filters.Env
	visits  filters.Counter
	working chan struct{} // closed when its work begins
	ended   chan struct{} // closed when it has ended
}

// Connect counts and remembers the client.
func (g *guest) Connect(ctx context.Context, s *filters.Session) filters.Verdict {
	_, known := g.env.Store.Get("guest/client")
	_, err := g.env.Resolver.Lookup(ctx, filters.Question{Name: "mx.example.org", Type: filters.TypeA})
	g.visits.Add(1, fmt.Sprint(known), fmt.Sprint(filters.NotFound(err)))
	g.env.Store.Put("guest/client", []byte(s.Listener), time.Hour)
	return filters.Refuse("seen", 554, [3]uint16{5, 7, 1}, "Seen")
}

// Work waits for the end.
func (g *guest) Work(ctx context.Context) {
	close(g.working)
	<-ctx.Done()
	g.env.Store.Put("guest/end", []byte("written"), time.Hour)
	close(g.ended)
}

// TestHost holds the host to last from before the first session until after the
// filters' last word, and the state file to outlive it.
func TestHost(t *testing.T) {
	names := peer.Names(t, fromZone(filtertest.NewZone(t, "")))
	leaks := goleak.IgnoreCurrent()
	defer goleak.VerifyNone(t, leaks)
	file := filepath.Join(t.TempDir(), "state")
	for _, known := range []string{"false", "true"} {
		g := &guest{working: make(chan struct{}), ended: make(chan struct{})}
		r := serveGuest(t, g, names.Addr, file)
		<-g.working
		connect(t, r.Addr("mx").String())
		connect(t, r.Addr("other").String())
		status, text := get(t, page(nil), http.MethodGet, "http://"+r.AdminAddr().String()+"/metrics")
		series := fmt.Sprintf(`mailweir_guest_visits_total{known=%q,not_found="true"}`, known)
		if status != http.StatusOK || !strings.Contains(text, series) {
			t.Errorf("%d, no series %s in\n%s", status, series, text)
		}
		if _, ended := g.env.Store.Get("guest/end"); ended != (known == "true") {
			t.Errorf("what was stored at the end is known: %v", ended)
		}
		r.stop(t)
		select {
		case <-g.ended:
		default:
			t.Error("the filter still works after the shutdown")
		}
	}
}

func serveGuest(t *testing.T, g *guest, names, file string) *running {
	t.Helper()
	kind := filters.Define(filters.Kind{Name: "guest", Doc: "Uses its host."}, struct{}{},
		func(env filters.Env, _ *struct{}) (filters.Filter, error) {
			g.env = env
			g.visits = env.Counter("mailweir_guest_visits_total", "Visits.", "known", "not_found")
			return g, nil
		})
	c, err := configs.Parse([]filters.Kind{kind}, "mx.yaml", fmt.Appendf(nil, `
listeners:
  - {name: mx, address: "127.0.0.1:0", upstream: {address: "127.0.0.1:1"}}
  - {name: other, address: "127.0.0.1:0", upstream: {address: "127.0.0.1:1"}}
delay_reject: connect
dns: {servers: [%q]}
state: {file: %q}
admin: {address: "127.0.0.1:0"}
chain: [{guest: {}}]
`, names, file))
	if err != nil {
		t.Fatal(err)
	}
	r := &running{served: make(chan error, 1)}
	if r.Server, err = proxy.New(c, slog.New(slog.NewTextHandler(&r.log, nil))); err != nil {
		t.Fatal(err)
	}
	if err := r.Listen(); err != nil {
		t.Fatal(err)
	}
	go func() { r.served <- r.Serve() }()
	return r
}
