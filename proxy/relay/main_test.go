package relay_test

import (
	"context"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
	"github.com/mailweir/mailweir/proxy/relay"
	"github.com/mailweir/mailweir/proxy/upstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newChain returns a chain of the given filters.
func newChain(t testing.TB, log *slog.Logger, list ...filters.Filter) *chain.Chain {
	t.Helper()
	return newNeedyChain(t, log, 0, list...)
}

// newNeedyChain returns a chain whose filters need something done to messages.
func newNeedyChain(t testing.TB, log *slog.Logger, needs filters.Needs, list ...filters.Filter) *chain.Chain {
	t.Helper()
	var specs []chain.Spec
	for _, f := range list {
		specs = append(specs, chain.Spec{
			Kind:    filters.Kind{Name: "stub", Needs: needs, New: func(filters.Env, any) (filters.Filter, error) { return f, nil }},
			OnError: chain.ErrorContinue,
		})
	}
	c, err := chain.Build(filters.Env{Log: log, Now: time.Now}, specs, chain.Options{DelayReject: filters.Rcpt})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// settings are what a test starts from: generous, and fast to fail.
func settings(t testing.TB, log *slog.Logger, list ...filters.Filter) relay.Options {
	const patience = 20 * time.Second
	return relay.Options{
		Name:        "test",
		Hostname:    "weir.example",
		Chain:       newChain(t, log, list...),
		Log:         log,
		Limiter:     relay.NewLimiter(0, 0),
		MaxErrors:   50,
		PlainAuth:   true,
		CommandLine: 4096,
		Timeouts: relay.Timeouts{
			Command: patience, DataBlock: patience, Write: patience,
			Upstream: upstream.Timeouts{
				Connect: patience, Greeting: patience, Mail: patience, Rcpt: patience, Data: patience,
				Block: patience, EndOfData: patience, Other: patience,
			},
		},
	}
}

// behind returns a group of one server.
func behind(fleet *upstream.Fleet, addr string, max int) *upstream.Group {
	at := netip.MustParseAddrPort(addr)
	return fleet.Group(upstream.Options{
		Name:           addr,
		Hostname:       "weir.example",
		Servers:        []upstream.Server{{Host: at.Addr().String(), Port: at.Port(), Weight: 1}},
		MaxConnections: max,
	})
}

// maxConnections is how many connections to its upstream a test may have.
const maxConnections = 4

func newFleet() *upstream.Fleet {
	return upstream.NewFleet(filters.Env{Log: quiet, Now: time.Now})
}

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// journal keeps log records, and may fail on one: a panic in a session.
type journal struct {
	mu      sync.Mutex
	records []string
	panicAt string
}

func (j *journal) Enabled(context.Context, slog.Level) bool { return true }
func (j *journal) WithAttrs([]slog.Attr) slog.Handler       { return j }
func (j *journal) WithGroup(string) slog.Handler            { return j }

func (j *journal) Handle(_ context.Context, r slog.Record) error {
	line := r.Message
	r.Attrs(func(a slog.Attr) bool {
		line += " " + a.Key + "=" + a.Value.String()
		return true
	})
	j.mu.Lock()
	j.records = append(j.records, line)
	j.mu.Unlock()
	if j.panicAt != "" && r.Message == j.panicAt {
		panic("the log is full")
	}
	return nil
}

// with returns the first record that begins with msg, or "".
func (j *journal) with(msg string) string {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, r := range j.records {
		if strings.HasPrefix(r, msg) {
			return r
		}
	}
	return ""
}

// all returns all records.
func (j *journal) all() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Join(j.records, "\n")
}
