// Package filtertest helps to test kinds of filters from outside: from the
// options as a user writes them to the verdict as the chain gets it.
package filtertest

import (
	"bytes"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/mailweir/mailweir/filters"
)

// Now is the time that Env's clock stands still at.
var Now = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// Env returns what a filter gets from its host, and the log it writes to.
// Relative file names start at dir.
func Env(dir string) (filters.Env, *Log) {
	log := new(Log)
	return filters.Env{
		Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{ReplaceAttr: withoutTime})),
		Now: func() time.Time { return Now },
		Dir: dir,
	}, log
}

func withoutTime(groups []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey && len(groups) == 0 {
		return slog.Attr{}
	}
	return a
}

// Log keeps what was logged, one record a line.
type Log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write takes what a log handler writes.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// Take returns what was logged since the last Take.
func (l *Log) Take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.buf.Reset()
	return l.buf.String()
}

// Build makes a filter with options in YAML over the kind's defaults.
func Build(env filters.Env, k filters.Kind, options string) (filters.Filter, error) {
	conf, err := configure(k, options)
	if err != nil {
		return nil, err
	}
	return k.New(env, conf)
}

// Conf returns options in YAML over the kind's defaults, for an entry of a
// chain.
func Conf(t testing.TB, k filters.Kind, options string) any {
	t.Helper()
	conf, err := configure(k, options)
	if err != nil {
		t.Fatalf("%s: {%s}: %v", k.Name, options, err)
	}
	return conf
}

func configure(k filters.Kind, options string) (any, error) {
	conf := k.Conf()
	if options == "" { // an empty document would clear the defaults
		return conf, nil
	}
	err := yaml.UnmarshalWithOptions([]byte(options), conf, yaml.Strict())
	return conf, err
}

// New is Build for a filter that must come out, with the stage or interface F.
// The filter is closed at the end of the test.
func New[F any](t testing.TB, env filters.Env, k filters.Kind, options string) F {
	t.Helper()
	f, err := Build(env, k, options)
	if err != nil {
		t.Fatalf("%s: {%s}: %v", k.Name, options, err)
	}
	if c, ok := f.(io.Closer); ok {
		t.Cleanup(func() { c.Close() })
	}
	return f.(F)
}
