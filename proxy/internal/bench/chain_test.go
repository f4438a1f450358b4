package main

import (
	"context"
	"io"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailweir/mailweir/configs"
	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
	"github.com/mailweir/mailweir/filters/standard"
	"github.com/mailweir/mailweir/proxy"
)

// newChain builds the chain that is measured, with a log of its own.
func newChain(t testing.TB, o options, log io.Writer) *chain.Chain {
	t.Helper()
	h := &hold{}
	t.Cleanup(h.end)
	n, err := startNames(h, fullZones)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "config")
	if _, err := n.full(o)(file, "127.0.0.1:0", "127.0.0.1:1"); err != nil {
		t.Fatal(err)
	}
	cfg, err := configs.Load(standard.Kinds(), configs.Source{File: file})
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.NewJSONHandler(log, nil))
	host, err := proxy.OpenHost(cfg, logger)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { host.Close() })
	c, err := cfg.Build(host.Env())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.For("mx")
}

// connects begins a session as smtp-source does.
func connects(c *chain.Chain) *chain.Run {
	r := c.Start(context.Background(), &filters.Session{
		ID: "0123456789ab", Listener: "mx", Hostname: "relay.test.example",
		Client: netip.MustParseAddrPort("[::1]:40000"), Local: netip.MustParseAddrPort("[::1]:25"),
	})
	r.Connect()
	r.Helo("client.test.example", true)
	return r
}

var somebody = filters.Path{Raw: "<foo@client.test.example>", Local: "foo", Domain: "client.test.example"}

// sends is a transaction with one recipient.
func sends(t testing.TB, r *chain.Run) {
	from, to := somebody, somebody
	for _, d := range []chain.Decision{r.Mail(&from, 0), r.Rcpt(&to), r.Data()} {
		if d.Refuses() {
			t.Fatalf("refused: %+v", d)
		}
	}
	r.Body([]byte("x"))
	r.Done(chain.Result{Reply: filters.Reply{Code: 250, Text: "2.0.0 Ok"}, Upstream: "250 2.0.0 Ok"})
}

// The chain that is measured finds nothing: what it would find costs a record.
func TestFullChain(t *testing.T) {
	for _, o := range []options{{}, {reuse: true, body: true}} {
		var log strings.Builder
		r := connects(newChain(t, o, &log))
		sends(t, r)
		r.Close()
		records := strings.Split(strings.TrimSpace(log.String()), "\n")
		if len(records) != 1 || !strings.Contains(records[0], `"msg":"accepted"`) {
			t.Errorf("%+v: logged\n%s\nwant one record, of an accepted message", o, log.String())
		}
	}
}

// BenchmarkChain is what the chain does about a message, the record in the log
// included.
func BenchmarkChain(b *testing.B) {
	c := newChain(b, options{}, io.Discard)
	first := connects(c) // learns what the DNS says
	sends(b, first)
	b.Run("session", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r := connects(c)
			sends(b, r)
			r.Close()
		}
	})
	b.Run("message", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			sends(b, first)
		}
	})
	first.Close()
}
