package proxy_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/rogpeppe/go-internal/txtar"
	"go.uber.org/goleak"

	"github.com/mailweir/mailweir/configs"
	"github.com/mailweir/mailweir/filters/filtertest"
	"github.com/mailweir/mailweir/filters/standard"
	"github.com/mailweir/mailweir/proxy"
	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// A transcript is a file of testdata. Its comment says what it shows. Its
// sections are:
//
//	config.yaml  what differs from listenerDefaults: keys of the process (chain,
//	             delay_reject ...) and of the listener side by side. mx.pem and
//	             mx.key in it are a certificate. Comments
//	             tell more: "# doors: relay", or milter, that no other front
//	             end can play it, and why; "# segments: whole" that the
//	             client's octets may not be cut.
//	dns          what the DNS knows, as filtertest.NewZone reads it; nothing by
//	             default.
//	upstream     what is said on one connection to the upstream: S is the
//	             upstream, C its client, mailweir. The first such section is
//	             the first connection, and so on; there must be no others.
//	upstream B   the same for another upstream, of the name B. The listener has
//	             to name it; what upstreams says in config.yaml of one of that
//	             name it has besides its address.
//	dialogue     what is said on one connection of a client: C is the client,
//	             S is mailweir. Several take place one after the other.
//	log          all that is logged, a record a line, as its message and those
//	             of its fields that matter.
//	held         why the MTA is to hold messages in quarantine, a message a line.
//	secrets      words that must not be in the log, one a line.
//	NAME.yaml    and NAME.txt: files that config.yaml names, such as rules.
//
// It is played through the relay, and through the milter with an MTA in front:
// S of the dialogue is then the MTA, and the upstream is what it says and does
// in its own name. Of that only what it replies to the commands that come to
// pass and the messages that it must get count. A line that begins with the
// word relay or milter is there for that door only. Filters that do what the
// transcript tells them are scriptKinds.
//
// Each side plays its part, and what the other side says must be what is
// written, octet by octet. See scene for the language of upstream and
// dialogue. {name} stands for a word, the same one each time.
type transcript struct {
	door      string // the one to play it through
	doors     string // that can, "" for all
	whole     bool
	config    string
	dns       string
	upstream  []scene
	others    map[string][]scene // of upstreams, by name
	dialogues []scene
	log       []record
	held      []string
	secrets   []string
	files     map[string]string // beside config.yaml, by name
}

// The front ends, by the names of their modes.
const (
	relayDoor  = "relay"
	milterDoor = "milter"
)

// Each transcript is played through the relay twice: lines that the client sends
// without waiting in one segment, and in segments of one octet. The milter does
// not see those.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	leaks := goleak.IgnoreCurrent()
	for _, door := range []string{relayDoor, milterDoor} {
		t.Run(door, func(t *testing.T) {
			for _, file := range files {
				if tr := readTranscript(t, file, door); tr.doors == "" || tr.doors == door {
					tr.run(t, strings.TrimSuffix(filepath.Base(file), ".txtar"))
				}
			}
		})
	}
	goleak.VerifyNone(t, leaks)
}

// run plays the transcript in all ways its door has.
func (tr *transcript) run(t *testing.T, name string) {
	if tr.door == milterDoor {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tr.playMilter(t)
		})
		return
	}
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		tr.playRelay(t, false)
	})
	if !tr.whole {
		t.Run(name+"/octets", func(t *testing.T) {
			t.Parallel()
			tr.playRelay(t, true)
		})
	}
}

// readTranscript reads what that door plays of a transcript.
func readTranscript(t *testing.T, file, door string) *transcript {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(bytes.TrimSpace(archive.Comment)) == 0 {
		t.Errorf("%s: the comment is missing", file)
	}
	tr := &transcript{door: door, others: map[string][]scene{}, files: map[string]string{}}
	for _, f := range archive.Files {
		text := linesFor(door, string(f.Data))
		if name, ok := strings.CutPrefix(f.Name, "upstream "); ok {
			tr.others[name] = append(tr.others[name], parseScene(t, file, name+".example", text))
			continue
		}
		switch f.Name {
		case "config.yaml":
			tr.config = text
			tr.note(text)
		case "dns":
			tr.dns = text
		case "upstream":
			tr.upstream = append(tr.upstream, parseScene(t, file, "up.example", text))
		case "dialogue":
			tr.dialogues = append(tr.dialogues, parseScene(t, file, "mx.example", text))
		case "log":
			tr.log = parseRecords(t, file, text)
		case "held":
			tr.held = strings.Split(strings.TrimSpace(text), "\n")
		case "secrets":
			tr.secrets = strings.Fields(text)
		default:
			if ext := filepath.Ext(f.Name); ext != ".yaml" && ext != ".txt" || filepath.Base(f.Name) != f.Name {
				t.Fatalf("%s: what is %s?", file, f.Name)
			}
			tr.files[f.Name] = text
		}
	}
	return tr
}

// linesFor empties the lines that are there for the other door.
func linesFor(door, text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		word, rest, _ := strings.Cut(line, " ")
		switch {
		case word == door:
			line = rest
		case word == relayDoor || word == milterDoor:
			line = "\n"
		}
		b.WriteString(line)
	}
	return b.String()
}

// note takes note of what the comments of config.yaml say.
func (tr *transcript) note(config string) {
	for line := range strings.Lines(config) {
		switch words := strings.Fields(strings.TrimPrefix(line, "#")); {
		case !strings.HasPrefix(line, "#") || len(words) < 2:
		case words[0] == "doors:":
			tr.doors = strings.TrimSuffix(words[1], ",")
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

// milterDefaults is the same for the milter.
const milterDefaults = `
name: mx
mode: milter
address: inet:127.0.0.1:0
hostname: mx.example
milter: {timeouts: {drain: 0s}}
`

// processKeys are the keys that are not the listener's.
var processKeys = []string{"drain_timeout", "sessions", "delay_reject", "dns", "state", "admin", "upstreams", "chain"}

// settings returns the whole configuration.
func (tr *transcript) settings(t *testing.T, names string, at places) *configs.Config {
	t.Helper()
	defaults := listenerDefaults
	if tr.door == milterDoor {
		defaults = milterDefaults
	}
	var listener, own map[string]any
	for _, err := range []error{
		yaml.Unmarshal([]byte(defaults), &listener),
		yaml.Unmarshal([]byte(tr.config), &own),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if tr.door == relayDoor {
		listener["upstream"] = map[string]any{"address": at[""]}
	}
	whole := map[string]any{"dns": map[string]any{"servers": []string{names}}}
	for _, key := range processKeys {
		if value, ok := own[key]; ok {
			merge(whole, map[string]any{key: value})
			delete(own, key)
		}
	}
	at.name(whole)
	merge(listener, own)
	whole["listeners"] = []any{listener}
	data, err := yaml.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := configs.Parse(slices.Concat(standard.Kinds(), scriptKinds), "config.yaml", data)
	if err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
	if len(tr.files) > 0 || tr.certified() {
		cfg.Dir = tr.writeFiles(t)
	}
	return cfg
}

// writeFiles writes what config.yaml names into a folder.
func (tr *transcript) writeFiles(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range tr.files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if tr.certified() {
		tr.certify(t, dir)
	}
	return dir
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

// playRelay plays the transcript through the relay.
func (tr *transcript) playRelay(t *testing.T, octets bool) {
	stage := &stage{marks: newMarks(), words: newWords(), octets: octets, log: new(syncBuffer)}
	upstreams := tr.newUpstreams(t, stage)
	tr.serve(t, stage, upstreams.places(), func(mailweir net.Addr) {
		tr.talk(t, stage, mailweir)
	}, func() { upstreams.end(t) })
}

// playMilter plays the transcript through the milter, with an MTA in front.
func (tr *transcript) playMilter(t *testing.T) {
	stage := &stage{marks: newMarks(), words: newWords(), told: true, log: new(syncBuffer)}
	tr.serve(t, stage, nil, func(mailweir net.Addr) {
		door, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		mta := newMTA(mailweir, newAnswers(stage.words, tr.upstream), tr.dialogues)
		var serving sync.WaitGroup
		serving.Go(func() { mta.serve(door) })
		tr.talk(t, stage, door.Addr())
		door.Close()
		serving.Wait()
		for _, err := range mta.errs {
			t.Errorf("MTA: %s", err)
		}
		for _, m := range mta.upstream.missing() {
			t.Errorf("this message was not delivered:\n%s", m)
		}
		tr.checkHeld(t, stage.words, mta.held)
	}, func() {})
}

// checkHeld compares what the MTA holds with what it should.
func (tr *transcript) checkHeld(t *testing.T, words *words, held []string) {
	if len(held) != len(tr.held) {
		t.Errorf("held in quarantine: %q, want %q", held, tr.held)
		return
	}
	for i, want := range tr.held {
		if !words.match(want, held[i]) {
			t.Errorf("held in quarantine: %q, want %q", held[i], want)
		}
	}
}

// talk lets the clients talk, one after the other.
func (tr *transcript) talk(t *testing.T, stage *stage, addr net.Addr) {
	for _, d := range tr.dialogues {
		if err := d.client(stage, addr.String()); err != nil {
			t.Errorf("dialogue: %v", err)
			break
		}
	}
}

// serve runs mailweir while play lasts, and looks at its log when all is over.
func (tr *transcript) serve(t *testing.T, stage *stage, at places, play func(net.Addr), end func()) {
	log := stage.log
	names := peer.Names(t, fromZone(filtertest.NewZone(t, tr.dns)))
	defer names.Stop()
	server, err := proxy.New(tr.settings(t, names.Addr, at), slog.New(slog.NewJSONHandler(log, nil)))
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
	stage.shutdown = sync.OnceFunc(func() {
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			stopped <- server.Shutdown(ctx)
		}()
	})
	play(server.Addr("mx"))
	stage.shutdown()
	if err := <-stopped; err != nil {
		t.Errorf("shutdown: %v", err)
	}
	serving.Wait()
	end()
	checkRecords(t, tr.door, stage.words, tr.log, log.String())
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
	errs   []string
}

// nobody is an address where nobody listens.
const nobody = "127.0.0.1:1"

func newScriptedUpstream(t *testing.T, stage *stage, scenes []scene) *scriptedUpstream {
	t.Helper()
	if len(scenes) == 1 && scenes[0].refused {
		return &scriptedUpstream{addr: nobody}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u := &scriptedUpstream{addr: listener.Addr().String(), listener: listener, wanted: len(scenes)}
	u.playing.Go(func() { u.accept(stage, scenes) })
	return u
}

// accept plays the scenes, one for each connection.
func (u *scriptedUpstream) accept(stage *stage, scenes []scene) {
	for i := 0; ; i++ {
		conn, err := u.listener.Accept()
		if err != nil {
			return
		}
		if i >= len(scenes) {
			conn.Close()
			u.fail("one connection too many")
			continue
		}
		u.mu.Lock()
		u.wanted--
		u.mu.Unlock()
		u.playing.Go(func() {
			if err := scenes[i].server(stage, conn.(*net.TCPConn)); err != nil {
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
