package proxy_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/rogpeppe/go-internal/txtar"
	"go.uber.org/goleak"

	"github.com/mailweir/mailweir/configs"
	"github.com/mailweir/mailweir/filters/standard"
	"github.com/mailweir/mailweir/proxy"
)

// A transcript is a file of testdata. Its comment says what it shows. Its
// sections are:
//
//	config.yaml  what differs from listenerDefaults: keys of the process (chain,
//	             delay_reject ...) and of the listener side by side. The
//	             comment "# doors: relay" says that another front end cannot
//	             play it; "# segments: whole" that the client's octets may
//	             not be cut.
//	upstream     what is said on one connection to the upstream: S is the
//	             upstream, C its client, mailweir. The first such section is
//	             the first connection, and so on; there must be no others.
//	dialogue     what is said on one connection of a client: C is the client,
//	             S is mailweir. Several take place one after the other.
//	log          all that is logged, a record a line, as its message and those
//	             of its fields that matter.
//	secrets      words that must not be in the log, one a line.
//
// Each side plays its part, and what the other side says must be what is
// written, octet by octet. See script for the language of upstream and
// dialogue. In all replies and records {name} stands for a word, the same one
// each time.
type transcript struct {
	doors     string // "" for all
	whole     bool
	config    string
	upstream  []script
	dialogues []script
	log       []record
	secrets   []string
}

// Each transcript is played twice: lines that the client sends without waiting
// in one segment, and in segments of one octet.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	leaks := goleak.IgnoreCurrent()
	t.Run("relay", func(t *testing.T) {
		for _, file := range files {
			name := strings.TrimSuffix(filepath.Base(file), ".txtar")
			tr := readTranscript(t, file)
			if tr.doors != "" && tr.doors != "relay" {
				continue
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				tr.relay(t, false)
			})
			if !tr.whole {
				t.Run(name+"/octets", func(t *testing.T) {
					t.Parallel()
					tr.relay(t, true)
				})
			}
		}
	})
	goleak.VerifyNone(t, leaks)
}

func readTranscript(t *testing.T, file string) *transcript {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(bytes.TrimSpace(archive.Comment)) == 0 {
		t.Errorf("%s: the comment is missing", file)
	}
	tr := new(transcript)
	for _, f := range archive.Files {
		switch text := string(f.Data); f.Name {
		case "config.yaml":
			tr.config = text
			tr.note(text)
		case "upstream":
			tr.upstream = append(tr.upstream, parseScript(t, file, "up.example", text))
		case "dialogue":
			tr.dialogues = append(tr.dialogues, parseScript(t, file, "mx.example", text))
		case "log":
			tr.log = parseRecords(t, file, text)
		case "secrets":
			tr.secrets = strings.Fields(text)
		default:
			t.Fatalf("%s: what is %s?", file, f.Name)
		}
	}
	return tr
}

// note takes note of what the comments of config.yaml say.
func (tr *transcript) note(config string) {
	for line := range strings.Lines(config) {
		switch words := strings.Fields(strings.TrimPrefix(line, "#")); {
		case !strings.HasPrefix(line, "#") || len(words) < 2:
		case words[0] == "doors:":
			tr.doors = words[1]
		case words[0] == "segments:":
			tr.whole = words[1] == "whole"
		}
	}
}

// listenerDefaults is what a transcript's listener is like unless it says
// otherwise. No transcript has to wait for these time-outs.
const listenerDefaults = `
name: mx
address: 127.0.0.1:0
hostname: mx.example
timeouts:
  command: 15s
  data_block: 15s
  reply_write: 15s
  upstream: {connect: 15s, greeting: 15s, mail: 15s, rcpt: 15s, data: 15s, block: 15s, end_of_data: 15s, other: 15s}
`

// processKeys are the keys that are not the listener's.
var processKeys = []string{"drain_timeout", "sessions", "delay_reject", "chain"}

// settings returns the whole configuration.
func (tr *transcript) settings(t *testing.T, upstream string) *configs.Config {
	t.Helper()
	var listener, own map[string]any
	for _, err := range []error{
		yaml.Unmarshal([]byte(listenerDefaults), &listener),
		yaml.Unmarshal([]byte(tr.config), &own),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	listener["upstream"] = map[string]any{"address": upstream}
	whole := map[string]any{}
	for _, key := range processKeys {
		if value, ok := own[key]; ok {
			whole[key] = value
			delete(own, key)
		}
	}
	merge(listener, own)
	whole["listeners"] = []any{listener}
	data, err := yaml.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := configs.Parse(standard.Kinds(), "config.yaml", data)
	if err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
	return cfg
}

// merge lays one map over another.
func merge(under, over map[string]any) {
	for key, value := range over {
		a, isMap := under[key].(map[string]any)
		b, both := value.(map[string]any)
		if isMap && both {
			merge(a, b)
		} else {
			under[key] = value
		}
	}
}

// relay plays the transcript through the relay.
func (tr *transcript) relay(t *testing.T, octets bool) {
	stage := &stage{marks: newMarks(), words: words{}, octets: octets}
	upstream := newScriptedUpstream(t, stage, tr.upstream)
	var log syncBuffer
	server, err := proxy.New(tr.settings(t, upstream.addr), slog.New(slog.NewJSONHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Listen(); err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := server.Serve(); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	stopped := make(chan error, 1)
	stop := sync.OnceFunc(func() {
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			stopped <- server.Shutdown(ctx)
		}()
	})
	stage.shutdown = stop
	for _, d := range tr.dialogues {
		if err := d.client(stage, server.Addr("mx").String()); err != nil {
			t.Errorf("dialogue: %v", err)
			break
		}
	}
	stop()
	if err := <-stopped; err != nil {
		t.Errorf("shutdown: %v", err)
	}
	serving.Wait()
	upstream.end(t)
	checkRecords(t, stage.words, tr.log, log.String())
	for _, secret := range tr.secrets {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log tells the secret %q", secret)
		}
	}
	if t.Failed() {
		t.Logf("the log:\n%s", log.String())
	}
}

// patience bounds each wait of a transcript that does not go as it should.
const patience = 10 * time.Second

// syncBuffer is a buffer that many may write to.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// scriptedUpstream is an MTA that says and expects what is written.
type scriptedUpstream struct {
	addr     string
	listener net.Listener // nil if connections are refused
	playing  sync.WaitGroup

	mu     sync.Mutex
	wanted int
	ended  bool
	errs   []string
}

// nobody is an address where nobody listens.
const nobody = "127.0.0.1:1"

func newScriptedUpstream(t *testing.T, stage *stage, scripts []script) *scriptedUpstream {
	t.Helper()
	if len(scripts) == 1 && scripts[0].refused {
		return &scriptedUpstream{addr: nobody}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u := &scriptedUpstream{addr: listener.Addr().String(), listener: listener, wanted: len(scripts)}
	u.playing.Go(func() { u.accept(stage, scripts) })
	return u
}

// accept plays the scripts, one for each connection.
func (u *scriptedUpstream) accept(stage *stage, scripts []script) {
	for i := 0; ; i++ {
		conn, err := u.listener.Accept()
		if err != nil {
			return
		}
		if i >= len(scripts) {
			conn.Close()
			u.fail("one connection too many")
			continue
		}
		u.mu.Lock()
		u.wanted--
		u.mu.Unlock()
		u.playing.Go(func() {
			if err := scripts[i].server(stage, conn.(*net.TCPConn)); err != nil {
				u.fail(err.Error())
			}
		})
	}
}

func (u *scriptedUpstream) fail(what string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.errs = append(u.errs, what)
}

// end waits until all has been played.
func (u *scriptedUpstream) end(t *testing.T) {
	t.Helper()
	if u.listener == nil {
		return
	}
	u.listener.Close()
	u.playing.Wait()
	for _, err := range u.errs {
		t.Errorf("upstream: %s", err)
	}
	if u.wanted > 0 {
		t.Errorf("upstream: %d connections were not made", u.wanted)
	}
}
