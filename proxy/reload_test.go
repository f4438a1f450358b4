package proxy_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mailweir/mailweir/configs"
	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/standard"
	"github.com/mailweir/mailweir/proxy"
	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// A reloading is a server whose configuration is a file.
type reloading struct {
	*running
	*testing.T
	file string
	live *atomic.Int64 // filters of kind stamp that are not closed
	torn *atomic.Int64 // sessions that met stamps of two configurations
	more []filters.Kind
}

// stamp is a filter that marks sessions, and finds those that another marked.
type stamp struct {
	version string
	file    string
	of      *reloading
}

var stamped = filters.NewFact[string]("stamp.version", "the version of the stamp that saw the session begin")

type stampConfig struct {
	Version string `yaml:"version" doc:"the version"`
	File    string `yaml:"file" doc:"a file with the version"`
}

func (f *stamp) Connect(_ context.Context, s *filters.Session) filters.Verdict {
	stamped.Set(s, f.version)
	return filters.Verdict{}
}

func (f *stamp) check(ctx context.Context, t *filters.Transaction) filters.Verdict {
	if v, err := stamped.Get(ctx, t.Session); err != nil || v != f.version {
		f.of.torn.Add(1)
	}
	return filters.Verdict{}
}

func (f *stamp) Mail(ctx context.Context, t *filters.Transaction) filters.Verdict {
	return f.check(ctx, t)
}

func (f *stamp) Rcpt(ctx context.Context, t *filters.Transaction, _ *filters.Path) filters.Verdict {
	return f.check(ctx, t)
}

func (f *stamp) Message(ctx context.Context, t *filters.Transaction) filters.Verdict {
	return f.check(ctx, t)
}

// Files returns the one that the version is from.
func (f *stamp) Files() []string {
	if f.file == "" {
		return nil
	}
	return []string{f.file}
}

func (f *stamp) Close() error {
	f.of.live.Add(-1)
	return nil
}

func (r *reloading) kinds() []filters.Kind {
	return append(append(standard.Kinds(), r.more...), filters.Define(filters.Kind{Name: "stamp", Doc: "Marks sessions."}, stampConfig{},
		func(_ filters.Env, c *stampConfig) (filters.Filter, error) {
			if c.File != "" {
				version, err := os.ReadFile(c.File)
				if err != nil {
					return nil, err
				}
				c.Version = string(version)
			}
			if c.Version == "wrong" {
				return nil, errors.New("version: it is wrong")
			}
			if c.Version == "panic" {
				panic("nobody has thought of this")
			}
			r.live.Add(1)
			return &stamp{version: c.Version, file: c.File, of: r}, nil
		}),
		filters.Define(filters.Kind{Name: "aside", Doc: "Sets messages aside.", Needs: filters.DoQuarantine}, struct{}{},
			func(filters.Env, *struct{}) (filters.Filter, error) { return aside{}, nil }))
}

// aside asks for what a relay cannot do.
type aside struct{}

func (aside) Message(context.Context, *filters.Transaction) filters.Verdict {
	return filters.Verdict{}
}

func (r *reloading) load() (*configs.Config, error) {
	return configs.Load(r.kinds(), configs.Source{File: r.file})
}

// write replaces the file as editors do.
func (r *reloading) write(text string) {
	r.Helper()
	if err := os.WriteFile(r.file+"~", []byte(text), 0o644); err != nil {
		r.Fatal(err)
	}
	if err := os.Rename(r.file+"~", r.file); err != nil {
		r.Fatal(err)
	}
}

// reload writes the file and has it loaded, which must succeed.
func (r *reloading) reload(text string) {
	r.Helper()
	r.write(text)
	if err := r.Reload(r.load); err != nil {
		r.Fatal(err)
	}
}

// serveFile serves what the text configures. All that it has begun has ended
// when the test has.
func serveFile(t *testing.T, text string) *reloading {
	t.Helper()
	file := filepath.Join(t.TempDir(), "mailweir.yaml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return serveFileAt(t, file)
}

func serveFileAt(t *testing.T, file string, more ...filters.Kind) *reloading {
	t.Helper()
	leaks := goleak.IgnoreCurrent()
	r := &reloading{running: &running{served: make(chan error, 1)}, T: t, file: file, live: new(atomic.Int64), torn: new(atomic.Int64), more: more}
	c, err := r.load()
	if err != nil {
		t.Fatal(err)
	}
	if r.Server, err = proxy.New(c, slog.New(slog.NewTextHandler(&r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))); err != nil {
		t.Fatal(err)
	}
	if err := r.Listen(); err != nil {
		t.Fatal(err)
	}
	go func() { r.served <- r.Serve() }()
	t.Cleanup(func() {
		r.running.stop(t)
		if n := r.live.Load(); n != 0 {
			t.Errorf("%d filters are not closed", n)
		}
		goleak.VerifyNone(t, leaks)
		if t.Failed() {
			t.Log(tailOf(r.log.String()))
		}
	})
	return r
}

func tailOf(log string) string { return log[max(0, len(log)-8<<10):] }

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("in vain: %s", what)
		}
	}
}

// policy is a configuration whose filters bear a version.
func policy(upstream string, version any, more string) string {
	return fmt.Sprintf(`hostname: weir.example
listeners:
  - {name: mx, address: "127.0.0.1:0", upstream: {address: %q}}
chain:
  - stamp: {version: "%[2]v"}
    name: first
  - headers: {add: [{name: X-Policy, value: "%[2]v"}]}
    name: one
  - stamp: {version: "%[2]v"}
    name: last
  - headers: {add: [{name: X-Policy, value: "%[2]v"}]}
    name: two
%[3]s`, upstream, version, more)
}

// post sends a message on a connection that has been greeted.
func post(c *peer.Client, subject string) {
	c.Do("250", "MAIL FROM:<a@test.example>")
	c.Do("250", "RCPT TO:<b@test.example>")
	c.Do("354", "DATA")
	c.Do("250", "Subject: "+subject+"\r\n\r\nHello\r\n.")
}

// policies returns the values of X-Policy in a message.
func policies(m peer.Message) string {
	var list []string
	for line := range strings.Lines(string(m.Data)) {
		if value, ok := strings.CutPrefix(line, "X-Policy: "); ok {
			list = append(list, strings.TrimSpace(value))
		}
	}
	return strings.Join(list, " ")
}

// A session keeps the filters under which it began, and they are closed when the
// last of these sessions has ended.
func TestReloadKeepsSessions(t *testing.T) {
	sink := peer.Sink(t)
	r := serveFile(t, policy(sink.Addr, 1, ""))
	at := r.Addr("mx").String()
	old, half := peer.Dial(t, at), peer.Dial(t, at)
	old.Do("250", "EHLO client.test.example")
	half.Do("250", "EHLO client.test.example")
	half.Do("250", "MAIL FROM:<a@test.example>")
	r.reload(policy(sink.Addr, 2, ""))
	if r.Addr("mx").String() != at {
		t.Errorf("the listener has moved from %s to %s", at, r.Addr("mx"))
	}
	fresh := peer.Dial(t, at)
	fresh.Do("250", "EHLO client.test.example")
	post(fresh, "new")
	half.Do("250", "RCPT TO:<b@test.example>")
	half.Do("354", "DATA")
	half.Do("250", "Subject: half\r\n\r\nHello\r\n.")
	post(old, "old")
	post(old, "old again")
	var got []string
	for _, m := range sink.Wait(t, 4, patience) {
		got = append(got, policies(m))
	}
	if want := "2 2,1 1,1 1,1 1"; strings.Join(got, ",") != want {
		t.Errorf("the messages were judged by %q, want %s", got, want)
	}
	fresh.Do("221", "QUIT")
	half.Do("221", "QUIT")
	if n := r.live.Load(); n != 4 {
		t.Errorf("%d filters while a session of the former configuration is there, want 4", n)
	}
	old.Do("221", "QUIT")
	until(t, "the former filters are closed", func() bool { return r.live.Load() == 2 })
	if n := r.torn.Load(); n != 0 {
		t.Errorf("%d times a message met filters of two configurations", n)
	}
	if log := r.log.String(); !strings.Contains(log, `msg="loaded the configuration again" changes="[filter first: version: \"1\" -> \"2\" `) {
		t.Error(log)
	}
}

// What is wrong with a configuration leaves everything as it was.
func TestReloadBroken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	sink := peer.Sink(t)
	good := "admin: {address: \"127.0.0.1:0\"}\n" + policy(sink.Addr, 1, "")
	r := serveFile(t, good)
	at := "http://" + r.AdminAddr().String() + "/metrics"
	_, before := get(t, page(nil), "GET", at)
	broken := map[string]struct{ text, problem string }{
		"no YAML":      {good + "chain: [", "mailweir.yaml:1"},
		"unknown key":  {good + "wach: true\n", `unknown key \"wach\"`},
		"kind":         {policy(sink.Addr, "wrong", ""), "version: it is wrong"},
		"panic":        {policy(sink.Addr, "panic", ""), "nobody has thought of this"},
		"missing file": {strings.Replace(good, "chain:", "chain:\n  - access: {deny_files: [none.txt]}", 1), "none.txt"},
		"no fit":       {good + "  - aside: {}\n", "aside: this listener cannot quarantine"},
		"listener": {strings.Replace(good, "chain:", fmt.Sprintf(
			"  - {name: free, address: \"127.0.0.1:0\", upstream: {address: %q}}\n"+
				"  - {name: other, address: %q, upstream: {address: %q}}\nchain:", sink.Addr, taken.Addr(), sink.Addr), 1),
			"listener other: "},
		"gone": {"", ""},
	}
	for name, c := range broken {
		r.log.reset()
		r.write(c.text)
		if name == "gone" {
			if err := os.Remove(r.file); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.Reload(r.load); err == nil {
			t.Errorf("%s: nothing is wrong with it", name)
		}
		log := r.log.String()
		if strings.Count(log, "level=ERROR") != 1 || !strings.Contains(log, "stays in force") || !strings.Contains(log, c.problem) {
			t.Errorf("%s: %s", name, log)
		}
		if n := r.live.Load(); n != 2 {
			t.Errorf("%s: there are %d filters", name, n)
		}
		client := peer.Dial(t, r.Addr("mx").String())
		client.Do("250", "EHLO client.test.example")
		post(client, name)
		client.Do("221", "QUIT")
	}
	for _, m := range sink.Wait(t, len(broken), patience) {
		if policies(m) != "1 1" {
			t.Errorf("judged by %q", policies(m))
		}
	}
	_, after := get(t, page(nil), "GET", at)
	if line := seriesOf(before, "mailweir_config_loaded_timestamp_seconds"); line == "" || line != seriesOf(after, "mailweir_config_loaded_timestamp_seconds") {
		t.Errorf("the configuration was loaded first at %q, then %q", line, seriesOf(after, "mailweir_config_loaded_timestamp_seconds"))
	}
	for _, line := range []string{
		`mailweir_reloads_total{result="ok"} 0`, fmt.Sprintf(`mailweir_reloads_total{result="failed"} %d`, len(broken)),
	} {
		if !strings.Contains(after, line+"\n") {
			t.Errorf("no %s", line)
		}
	}
}

// However much is wrong, the record of it has a bound.
func TestReloadBrokenAllOver(t *testing.T) {
	sink := peer.Sink(t)
	good := policy(sink.Addr, 1, "")
	r := serveFile(t, good)
	r.log.reset()
	for i := range 2000 {
		good += fmt.Sprintf("  - nonsense%d:\n", i)
	}
	r.write(good)
	err := r.Reload(r.load)
	if err == nil {
		t.Fatal("nothing is wrong with it")
	}
	if log := r.log.String(); len(log) > 12<<10 || !strings.Contains(log, "nonsense0") || len(err.Error()) > 12<<10 && !strings.Contains(log, `\n..."`) {
		t.Errorf("of %d octets of problems the log has %d", len(err.Error()), len(log))
	}
}

func seriesOf(text, name string) string {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, name) {
			return line
		}
	}
	return ""
}

func (b *syncBuffer) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buf.Reset()
}
