package upstream_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/filtertest"
	"github.com/mailweir/mailweir/proxy/upstream"
)

func TestMain(m *testing.M) {
	// What package net knows of the system must not be read in a bubble first.
	(&net.Resolver{PreferGo: true}).LookupHost(context.Background(), "localhost")
	goleak.VerifyTestMain(m)
}

// How a server of a town answers; anything else is its greeting.
const (
	refuses = "refuses" // connections
	silent  = "silent"  // never answers
	mute    = "mute"    // connects, and never greets
	sorry   = "sorry"   // greets, and answers EHLO with 421
)

// town is servers without a network, which a test turns on and off. Those that
// it says nothing about greet.
type town struct {
	*testing.T
	fleet *upstream.Fleet
	log   *filtertest.Log
	tally *tally
	dns   *filtertest.Zone

	mu      sync.Mutex
	manners map[string]string // by address
	calls   []string          // addresses that were dialed
	ended   int               // connections that said QUIT
	open    int               // connections
	most    int               // of them at once
}

// newTown returns a town whose fleet ends with the test.
func newTown(t *testing.T) *town {
	w := &town{T: t, log: new(filtertest.Log), tally: newTally(), dns: filtertest.NewZone(t, ""), manners: map[string]string{}}
	w.fleet = upstream.NewFleet(filters.Env{
		Log: slog.New(slog.NewTextHandler(w.log, nil)), Now: time.Now, Resolver: w.dns, Metrics: w.tally,
	})
	w.fleet.Dial = w.dial
	t.Cleanup(func() {
		w.fleet.Close()
		if n := w.fleet.Held(); n != 0 {
			t.Errorf("%d connections are held in the end", n)
		}
	})
	return w
}

// is changes how servers answer.
func (w *town) is(manner string, addresses ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range addresses {
		w.manners[a] = manner
	}
}

func (w *town) dial(ctx context.Context, network, address string) (net.Conn, error) {
	w.mu.Lock()
	w.calls = append(w.calls, address)
	manner := w.manners[address]
	w.mu.Unlock()
	switch manner {
	case refuses:
		return nil, syscall.ECONNREFUSED
	case silent:
		<-ctx.Done()
		return nil, ctx.Err()
	}
	near, far := net.Pipe()
	go func() {
		defer far.Close()
		w.serve(far, manner)
	}()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open++
	w.most = max(w.most, w.open)
	return &counted{Conn: near, close: sync.OnceFunc(w.closed)}, nil
}

// counted is a connection that counts until our side has closed it.
type counted struct {
	net.Conn
	close func()
}

func (c *counted) Close() error {
	defer c.close()
	return c.Conn.Close()
}

func (w *town) closed() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open--
}

// serve is a server: it knows QUIT and FAIL.
func (w *town) serve(conn net.Conn, greeting string) {
	switch greeting {
	case "":
		greeting = "220 mta.example"
	case sorry:
		io.WriteString(conn, "220 mta.example\r\n")
		if bufio.NewScanner(conn).Scan() {
			io.WriteString(conn, "421 4.3.2 mta.example closes\r\n")
		}
		return
	case mute:
		io.Copy(io.Discard, conn)
		return
	}
	if _, err := io.WriteString(conn, greeting+"\r\n"); err != nil {
		return
	}
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		switch lines.Text() {
		case "QUIT":
			w.mu.Lock()
			w.ended++
			w.mu.Unlock()
			io.WriteString(conn, "221 bye\r\n")
			return
		case "FAIL":
			io.WriteString(conn, "550 no\r\n")
		default:
			io.WriteString(conn, "250 fine\r\n")
		}
	}
}

// dialed returns the addresses that were dialed since the last time.
func (w *town) dialed() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer func() { w.calls = nil }()
	return w.calls
}

// quits returns how many connections were ended by QUIT so far.
func (w *town) quits() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ended
}

// standard are options of a group of servers at port 25, whose weights are in
// turn 1, 2, 3.
func standard(hosts ...string) upstream.Options {
	o := upstream.Options{
		Name: "mx", Hostname: "relay.example", MaxConnections: 100, ReuseIdle: 30 * time.Second,
		BackOff: upstream.BackOff{First: time.Second, Max: time.Minute},
	}
	for i, host := range hosts {
		o.Servers = append(o.Servers, upstream.Server{Host: host, Port: 25, Weight: i + 1})
	}
	return o
}

// group returns a group that is closed with the test.
func (w *town) group(o upstream.Options) *upstream.Group {
	g := w.fleet.Group(o)
	w.Cleanup(g.Close)
	return g
}

// brief are the time-outs of sessions.
var brief = upstream.Timeouts{
	Connect: 30 * time.Second, Handshake: 30 * time.Second, Greeting: time.Minute, Mail: time.Minute, Rcpt: time.Minute,
	Data: time.Minute, Block: time.Minute, EndOfData: time.Minute, Other: time.Minute,
}

// enter opens a connection.
func (w *town) enter(g *upstream.Group) *upstream.Conn {
	w.Helper()
	c, err := g.Open(w.Context(), theClient(), &brief)
	if err != nil {
		w.Fatal(err)
	}
	return c
}

// visit opens a connection, ends it, and returns which server that was.
func (w *town) visit(g *upstream.Group) string {
	w.Helper()
	c := w.enter(g)
	defer c.Quit()
	return c.Server()
}

// wantDialed holds which addresses were dialed since the last time.
func (w *town) wantDialed(want ...string) {
	w.Helper()
	if got := w.dialed(); !slices.Equal(got, want) {
		w.Errorf("dialed %v, want %v", got, want)
	}
}

// logged returns how often the words stand in the log since the last time.
func (w *town) logged(words ...string) (counts []int) {
	text := w.log.Take()
	for _, word := range words {
		counts = append(counts, strings.Count(text, word))
	}
	return counts
}

// tally is metrics that a test can read.
type tally struct {
	mu     sync.Mutex
	values map[string]float64
}

func newTally() *tally { return &tally{values: map[string]float64{}} }

func (m *tally) get(name string, labels ...string) float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.values[fmt.Sprint(name, labels)]
}

func (m *tally) Counter(name, _ string, _ ...string) filters.Counter { return instrument{m, name} }
func (m *tally) Gauge(name, _ string, _ ...string) filters.Gauge     { return instrument{m, name} }
func (m *tally) Histogram(name, _ string, _ []float64, _ ...string) filters.Histogram {
	return instrument{m, name}
}

type instrument struct {
	*tally
	name string
}

func (i instrument) Add(n float64, values ...string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.values[fmt.Sprint(i.name, values)] += n
}

func (i instrument) Set(n float64, values ...string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.values[fmt.Sprint(i.name, values)] = n
}

// Observe counts how often.
func (i instrument) Observe(_ float64, values ...string) { i.Add(1, values...) }
