package chain_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// answers says what a stub finds at each stage.
type answers map[filters.Stage]filters.Verdict

// stub is a filter that is asked at the stages it has something for.
type stub struct {
	name  string
	finds answers
	do    map[filters.Stage]func(context.Context) filters.Verdict
	open  func(*filters.Transaction) io.Writer
	calls *[]string
	close func() error
}

func (f *stub) Stages() filters.Stages {
	var set filters.Stages
	for s := range f.finds {
		set |= filters.StageSet(s)
	}
	for s := range f.do {
		set |= filters.StageSet(s)
	}
	if f.open != nil {
		set |= filters.StageSet(filters.Body)
	}
	return set
}

func (f *stub) at(ctx context.Context, s filters.Stage) filters.Verdict {
	if f.calls != nil {
		*f.calls = append(*f.calls, f.name+"."+s.String())
	}
	if do := f.do[s]; do != nil {
		return do(ctx)
	}
	return f.finds[s]
}

func (f *stub) Connect(ctx context.Context, _ *filters.Session) filters.Verdict {
	return f.at(ctx, filters.Connect)
}
func (f *stub) Helo(ctx context.Context, _ *filters.Session) filters.Verdict {
	return f.at(ctx, filters.Helo)
}
func (f *stub) Mail(ctx context.Context, _ *filters.Transaction) filters.Verdict {
	return f.at(ctx, filters.Mail)
}
func (f *stub) Rcpt(ctx context.Context, _ *filters.Transaction, _ *filters.Path) filters.Verdict {
	return f.at(ctx, filters.Rcpt)
}
func (f *stub) Data(ctx context.Context, _ *filters.Transaction) filters.Verdict {
	return f.at(ctx, filters.Data)
}
func (f *stub) Header(ctx context.Context, _ *filters.Transaction) filters.Verdict {
	return f.at(ctx, filters.EOH)
}
func (f *stub) Message(ctx context.Context, _ *filters.Transaction) filters.Verdict {
	return f.at(ctx, filters.EOM)
}
func (f *stub) Command(ctx context.Context, _ *filters.Session, _, _ string) filters.Verdict {
	return f.at(ctx, filters.Command)
}
func (f *stub) Conduct(ctx context.Context, _ *filters.Session, b filters.Breach, _ []byte) filters.Verdict {
	if f.calls != nil {
		*f.calls = append(*f.calls, f.name+"."+b.String())
	}
	return f.finds[filters.Conduct]
}
func (f *stub) Body(ctx context.Context, t *filters.Transaction) io.Writer {
	if f.open != nil {
		return f.open(t)
	}
	return &sink{end: f.at(ctx, filters.Body), early: true}
}

func (f *stub) Close() error {
	if f.calls != nil {
		*f.calls = append(*f.calls, f.name+".close")
	}
	if f.close != nil {
		return f.close()
	}
	return nil
}

// sink reads a message and speaks at its end, or with early at its first octet.
type sink struct {
	got      bytes.Buffer
	writes   int
	finishes int
	early    bool
	err      error
	end      filters.Verdict
}

func (s *sink) Write(p []byte) (int, error) {
	s.writes++
	s.got.Write(p)
	if s.early && s.err == nil {
		return len(p), filters.ErrDecided
	}
	return len(p), s.err
}

func (s *sink) Finish(context.Context) filters.Verdict {
	s.finishes++
	return s.end
}

// entry makes a spec of a stub; more fills in the rest.
func entry(f *stub, more ...func(*chain.Spec)) chain.Spec {
	s := chain.Spec{Kind: filters.Kind{
		Name: f.name,
		New:  func(filters.Env, any) (filters.Filter, error) { return f, nil },
	}}
	for _, m := range more {
		m(&s)
	}
	return s
}

// one makes the chain's only entry: a filter "f" with these answers.
func one(finds answers, more ...func(*chain.Spec)) chain.Spec {
	return entry(&stub{name: "f", finds: finds}, more...)
}

func doing(a chain.Action) func(*chain.Spec)    { return func(s *chain.Spec) { s.Action = a } }
func onError(o chain.OnError) func(*chain.Spec) { return func(s *chain.Spec) { s.OnError = o } }
func needs(n filters.Needs) func(*chain.Spec)   { return func(s *chain.Spec) { s.Kind.Needs |= n } }
func timeout(d time.Duration) func(*chain.Spec) {
	return func(s *chain.Spec) { s.Timeout = d }
}

// talk is a session with a chain, as a front end holds it.
type talk struct {
	*chain.Run
	t   *testing.T
	log *bytes.Buffer
}

var (
	alice = path("alice@example.org")
	bob   = path("bob@example.net")
	carol = path("carol@example.net")
)

func path(address string) *filters.Path {
	local, domain, _ := strings.Cut(address, "@")
	return &filters.Path{Local: local, Domain: domain, Raw: "<" + address + ">"}
}

func env(log io.Writer) filters.Env {
	return filters.Env{Log: slog.New(slog.NewJSONHandler(log, nil)), Now: time.Now}
}

func session() *filters.Session {
	return &filters.Session{ID: "S1", Listener: "mx", Client: netip.MustParseAddrPort("192.0.2.1:25000")}
}

func build(t *testing.T, log io.Writer, o chain.Options, specs ...chain.Spec) *chain.Chain {
	t.Helper()
	c, err := chain.Build(env(log), specs, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func start(t *testing.T, delay filters.Stage, specs ...chain.Spec) *talk {
	t.Helper()
	log := new(bytes.Buffer)
	c := build(t, log, chain.Options{DelayReject: delay}, specs...)
	return &talk{c.Start(context.Background(), session()), t, log}
}

const content = "Subject: x\r\n\r\nHello\r\n"

// ask puts the question of one stage.
func (k *talk) ask(s filters.Stage) chain.Decision {
	switch s {
	case filters.Connect:
		return k.Connect()
	case filters.Helo:
		return k.Helo("mx.example.org", true)
	case filters.Mail:
		return k.Mail(alice, 0)
	case filters.Rcpt:
		return k.Rcpt(bob)
	case filters.Data:
		return k.Data()
	case filters.EOH:
		return k.Header(filters.Header{{Name: "Subject", Value: " x"}})
	case filters.Body:
		if d := k.BeginBody(); d.Action != filters.Continue {
			return d
		}
		return k.Body([]byte(content))
	case filters.EOM:
		return k.Message()
	}
	return k.Command("VRFY", "bob")
}

// dialogue is the order in which a front end asks; Command comes when it likes.
var dialogue = []filters.Stage{
	filters.Connect, filters.Helo, filters.Command, filters.Mail, filters.Rcpt,
	filters.Data, filters.Body, filters.EOH, filters.EOM,
}

// until asks all stages up to last; those before it must find nothing.
func (k *talk) until(last filters.Stage) chain.Decision {
	k.t.Helper()
	for _, s := range dialogue {
		if s == filters.Command && s != last && k.Held() {
			continue // it would be told what is held
		}
		d := k.ask(s)
		if s == last {
			return d
		}
		if d.Action != filters.Continue {
			k.t.Fatalf("at %v: %+v, want Continue until %v", s, d, last)
		}
	}
	return chain.Decision{}
}

// after asks the stages of the dialogue that follow s.
func (k *talk) after(s filters.Stage) map[filters.Stage]chain.Decision {
	told := map[filters.Stage]chain.Decision{}
	follows := false
	for _, next := range dialogue {
		if follows && next != filters.Command {
			told[next] = k.ask(next)
		}
		follows = follows || next == s
	}
	return told
}

type record map[string]any

func (r record) str(key string) string { s, _ := r[key].(string); return s }

func (r record) list(key string) string {
	var words []string
	list, ok := r[key].([]any)
	if !ok {
		return "no list"
	}
	for _, w := range list {
		words = append(words, w.(string))
	}
	return strings.Join(words, " ")
}

// records returns what the log holds, and empties it.
func (k *talk) records() []record {
	k.t.Helper()
	return records(k.t, k.log)
}

func records(t *testing.T, log *bytes.Buffer) []record {
	t.Helper()
	var list []record
	for line := range strings.Lines(log.String()) {
		var r record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("log line %q: %v", line, err)
		}
		list = append(list, r)
	}
	log.Reset()
	return list
}

// messages returns the messages of the log's records, and empties it.
func (k *talk) messages() string {
	k.t.Helper()
	return messages(k.records())
}

func messages(list []record) string {
	var words []string
	for _, r := range list {
		words = append(words, r.str("msg"))
	}
	return strings.Join(words, ", ")
}

// only returns the log's one record.
func (k *talk) only(msg string) record {
	k.t.Helper()
	list := k.records()
	if len(list) != 1 || list[0].str("msg") != msg {
		k.t.Fatalf("log = %v, want one record %q", list, msg)
	}
	return list[0]
}

func wantAction(t *testing.T, d chain.Decision, want filters.Action) {
	t.Helper()
	if d.Action != want {
		t.Fatalf("decision = %v %v, want %v", d.Action, d.Reply, want)
	}
}

func reject() filters.Verdict {
	return filters.Refuse("bad", 550, [3]uint16{5, 7, 1}, "Bad")
}

func tempfail() filters.Verdict {
	return filters.Refuse("soon", 450, [3]uint16{4, 7, 1}, "Soon")
}

func verdict(a filters.Action) filters.Verdict {
	return filters.Verdict{Action: a, Finding: &filters.Finding{Reason: "why"}}
}

var errBoom = errors.New("boom")

// told is how the relay ends a transaction with that decision's reply.
func told(d chain.Decision) chain.Result { return chain.Result{Reply: d.Reply} }

var (
	ok    = filters.Reply{Code: 250, Enh: [3]uint16{2, 0, 0}, Text: "Ok queued"}
	taken = chain.Result{Reply: ok, Upstream: "250 2.0.0 Ok queued"}
)
