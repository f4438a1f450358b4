package milter_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
	"github.com/mailweir/mailweir/proxy/milter"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stub is a filter that is asked at the stages it has a function for.
type stub struct {
	at   map[filters.Stage]func(context.Context, *filters.Transaction) filters.Verdict
	rcpt func(*filters.Path) filters.Verdict
	seen func(*filters.Session)
	verb func(verb, args string) filters.Verdict
	body func(*filters.Transaction) io.Writer
}

// when makes a stub that is asked at one stage.
func when(s filters.Stage, f func(context.Context, *filters.Transaction) filters.Verdict) *stub {
	return &stub{at: map[filters.Stage]func(context.Context, *filters.Transaction) filters.Verdict{s: f}}
}

// says makes a stub that gives a verdict at one stage.
func says(s filters.Stage, v filters.Verdict) *stub {
	if s == filters.Command {
		return &stub{verb: func(string, string) filters.Verdict { return v }}
	}
	if s == filters.Body {
		return &stub{body: func(*filters.Transaction) io.Writer { return &sink{end: v, stop: filters.ErrDecided} }}
	}
	return when(s, func(context.Context, *filters.Transaction) filters.Verdict { return v })
}

func (f *stub) Stages() filters.Stages {
	var set filters.Stages
	for s := range f.at {
		set |= filters.StageSet(s)
	}
	if f.rcpt != nil {
		set |= filters.StageSet(filters.Rcpt)
	}
	if f.seen != nil {
		set |= filters.StageSet(filters.Connect)
	}
	if f.verb != nil {
		set |= filters.StageSet(filters.Command)
	}
	if f.body != nil {
		set |= filters.StageSet(filters.Body)
	}
	return set
}

func (f *stub) ask(ctx context.Context, s filters.Stage, t *filters.Transaction) filters.Verdict {
	if do := f.at[s]; do != nil {
		return do(ctx, t)
	}
	return filters.Verdict{}
}

func (f *stub) Connect(ctx context.Context, s *filters.Session) filters.Verdict {
	if f.seen != nil {
		f.seen(s)
	}
	return f.ask(ctx, filters.Connect, nil)
}
func (f *stub) Helo(ctx context.Context, _ *filters.Session) filters.Verdict {
	return f.ask(ctx, filters.Helo, nil)
}
func (f *stub) Mail(ctx context.Context, t *filters.Transaction) filters.Verdict {
	return f.ask(ctx, filters.Mail, t)
}
func (f *stub) Rcpt(ctx context.Context, t *filters.Transaction, p *filters.Path) filters.Verdict {
	if f.rcpt != nil {
		return f.rcpt(p)
	}
	return f.ask(ctx, filters.Rcpt, t)
}
func (f *stub) Data(ctx context.Context, t *filters.Transaction) filters.Verdict {
	return f.ask(ctx, filters.Data, t)
}
func (f *stub) Header(ctx context.Context, t *filters.Transaction) filters.Verdict {
	return f.ask(ctx, filters.EOH, t)
}
func (f *stub) Message(ctx context.Context, t *filters.Transaction) filters.Verdict {
	return f.ask(ctx, filters.EOM, t)
}
func (f *stub) Body(_ context.Context, t *filters.Transaction) io.Writer { return f.body(t) }
func (f *stub) Command(_ context.Context, _ *filters.Session, verb, args string) filters.Verdict {
	return f.verb(verb, args)
}

// sink keeps what it reads, and may stop.
type sink struct {
	got  bytes.Buffer
	stop error
	end  filters.Verdict
}

func (s *sink) Write(p []byte) (int, error) {
	s.got.Write(p)
	return len(p), s.stop
}

func (s *sink) Finish(context.Context) filters.Verdict { return s.end }

// logBuffer is a log that may be read while it is written.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// door is a milter under test.
type door struct {
	*milter.Milter
	t       testing.TB
	network string
	addr    string
	log     *logBuffer
	served  chan error
}

// setting changes what a door starts from.
type setting func(*config)

type config struct {
	milter  milter.Options
	chain   chain.Options
	onError chain.OnError
	needs   filters.Needs
	socket  milter.Socket
}

func delay(s filters.Stage) setting      { return func(c *config) { c.chain.DelayReject = s } }
func onError(o chain.OnError) setting    { return func(c *config) { c.onError = o } }
func needs(n filters.Needs) setting      { return func(c *config) { c.needs = n } }
func timeouts(t milter.Timeouts) setting { return func(c *config) { c.milter.Timeouts = t } }
func options(f func(*config)) setting    { return f }

var patient = milter.Timeouts{
	Idle: 20 * time.Second, Packet: 20 * time.Second, Write: 20 * time.Second,
	Progress: 20 * time.Second, Drain: 50 * time.Millisecond,
}

// open starts a milter with one filter, which ends with the test.
func open(t testing.TB, f *stub, settings ...setting) *door {
	t.Helper()
	d := &door{t: t, log: new(logBuffer), served: make(chan error, 1)}
	log := slog.New(slog.NewJSONHandler(d.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	c := config{
		milter: milter.Options{
			Name: "test", Hostname: "weir.example", Log: log,
			MaxConnections: 100, MaxPacket: 1 << 20, Timeouts: patient,
		},
		socket: milter.Socket{Address: "inet:127.0.0.1:0"},
	}
	for _, set := range settings {
		set(&c)
	}
	spec := chain.Spec{
		Kind:    filters.Kind{Name: "stub", Needs: c.needs, New: func(filters.Env, any) (filters.Filter, error) { return f, nil }},
		OnError: c.onError,
	}
	built, err := chain.Build(filters.Env{Log: log, Now: time.Now}, []chain.Spec{spec}, c.chain)
	if err != nil {
		t.Fatal(err)
	}
	c.milter.Chain = built
	if d.Milter, err = milter.New(c.milter); err != nil {
		t.Fatal(err)
	}
	l, err := c.socket.Listen()
	if err != nil {
		t.Fatal(err)
	}
	d.network, d.addr = l.Addr().Network(), l.Addr().String()
	go func() { d.served <- d.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		d.Shutdown(ctx)
		if err := <-d.served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if t.Failed() {
			t.Log(d.log)
		}
	})
	return d
}

// dial connects without speaking the protocol.
func (d *door) dial() net.Conn {
	d.t.Helper()
	conn, err := net.Dial(d.network, d.addr)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { conn.Close() })
	return conn
}

type record map[string]any

func (r record) str(key string) string { s, _ := r[key].(string); return s }

// records returns those of the log with that message.
func (d *door) records(msg string) []record {
	d.t.Helper()
	var list []record
	for line := range strings.Lines(d.log.String()) {
		var r record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			d.t.Fatalf("log line %q: %v", line, err)
		}
		if r.str("msg") == msg {
			list = append(list, r)
		}
	}
	return list
}

// only waits for the log's one record with that message.
func (d *door) only(msg string) record {
	d.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		list := d.records(msg)
		if len(list) == 1 {
			return list[0]
		}
		if len(list) > 1 || time.Now().After(deadline) {
			d.t.Fatalf("the log has %d records %q, want one:\n%s", len(list), msg, d.log)
		}
	}
}

func reject() filters.Verdict {
	return filters.Refuse("bad", 550, [3]uint16{5, 7, 1}, "Bad 100%\nVery")
}
func later() filters.Verdict { return filters.Refuse("soon", 450, [3]uint16{4, 7, 1}, "Soon") }
func verdict(a filters.Action) filters.Verdict {
	return filters.Verdict{Action: a, Finding: &filters.Finding{Reason: "why"}}
}
