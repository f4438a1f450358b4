package proxy_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
	"github.com/mailweir/mailweir/proxy/internal/peer"
	"github.com/mailweir/mailweir/proxy/milter"
)

// A script says what a scripted filter finds and does.
type script struct {
	verdicts map[filters.Stage]filters.Verdict
	edits    []filters.Edit                  // at the end of the message
	slow     map[filters.Stage]time.Duration // it takes so long
	skip     bool                            // it wants no more than the first piece of a body
}

// scripted is a filter for all stages that finds what its script says, which
// may change from session to session, and keeps what it has seen of the latest
// message.
type scripted struct {
	script atomic.Pointer[script]

	mu   sync.Mutex
	seen seen
}

// seen is what a filter is shown of a message.
type seen struct {
	header   filters.Header
	text     string
	size     int64
	envelope string
	client   string // address, HELO name
}

func (f *scripted) at(s filters.Stage) filters.Verdict {
	play := f.script.Load()
	time.Sleep(play.slow[s])
	return play.verdicts[s]
}

func (f *scripted) Connect(context.Context, *filters.Session) filters.Verdict {
	return f.at(filters.Connect)
}
func (f *scripted) Helo(context.Context, *filters.Session) filters.Verdict {
	return f.at(filters.Helo)
}
func (f *scripted) Mail(context.Context, *filters.Transaction) filters.Verdict {
	return f.at(filters.Mail)
}
func (f *scripted) Rcpt(context.Context, *filters.Transaction, *filters.Path) filters.Verdict {
	return f.at(filters.Rcpt)
}
func (f *scripted) Data(context.Context, *filters.Transaction) filters.Verdict {
	return f.at(filters.Data)
}
func (f *scripted) Header(context.Context, *filters.Transaction) filters.Verdict {
	return f.at(filters.EOH)
}
func (f *scripted) Body(context.Context, *filters.Transaction) io.Writer {
	if f.script.Load().skip {
		return skipping{}
	}
	f.see(func(s *seen) { s.text = "" })
	return reading{f, f.at(filters.Body)}
}
func (f *scripted) Message(_ context.Context, t *filters.Transaction) filters.Verdict {
	f.see(func(s *seen) {
		s.header, s.size = slices.Clone(t.Header), t.Size
		s.envelope = t.From.Raw + " " + t.From.Params
		for _, p := range t.Rcpts {
			s.envelope += " " + p.Raw
		}
		s.client = t.Session.Client.Addr().String() + " " + t.Session.Helo
	})
	for _, edit := range f.script.Load().edits {
		if err := t.Edit(edit); err != nil {
			return filters.Failed(err)
		}
	}
	return f.at(filters.EOM)
}
func (f *scripted) Command(context.Context, *filters.Session, string, string) filters.Verdict {
	return f.at(filters.Command)
}

func (f *scripted) see(what func(*seen)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	what(&f.seen)
}

// reading is a sink that keeps what it reads, or has made up its mind.
type reading struct {
	*scripted
	verdict filters.Verdict
}

func (r reading) Write(p []byte) (int, error) {
	if r.verdict.Action != filters.Continue {
		return len(p), filters.ErrDecided
	}
	r.see(func(s *seen) { s.text += string(p) })
	return len(p), nil
}

func (r reading) Finish(context.Context) filters.Verdict { return r.verdict }

// skipping is a sink that has seen enough.
type skipping struct{}

func (skipping) Write(p []byte) (int, error) { return len(p), filters.ErrSkip }

// A theatre is a stage for a play: mailweir's milter front end in this process
// with a chain of two scripted filters, asked by a real MTA.
type theatre struct {
	mta           peer.MTA
	sink          *peer.Recorder
	first, second scripted
	log           *journal
}

const allNeeds = filters.Edits | filters.DoQuarantine

func newTheatre(t *testing.T, kind mtaKind, delay filters.Stage, o mtaOptions) *theatre {
	t.Helper()
	s := &theatre{sink: peer.Sink(t), log: &journal{}}
	s.play(script{}, script{})
	env := filters.Env{Log: slog.New(slog.NewTextHandler(s.log, nil)), Now: time.Now}
	c, err := chain.Build(env, []chain.Spec{s.spec("first", &s.first), s.spec("second", &s.second)},
		chain.Options{DelayReject: delay})
	if err != nil {
		t.Fatal(err)
	}
	o.relayhost, o.milter = s.sink.Addr, serveMilter(t, c, env.Log)
	s.mta = kind.start(t, o)
	t.Cleanup(func() {
		if !o.hasty {
			inPeace(t, s.log.String())
		}
		if t.Failed() {
			t.Logf("mailweir's log:\n%s", s.log)
		}
	})
	return s
}

func (s *theatre) spec(name string, f *scripted) chain.Spec {
	return chain.Spec{Kind: filters.Kind{
		Name:  name,
		Needs: allNeeds,
		New:   func(filters.Env, any) (filters.Filter, error) { return f, nil },
	}}
}

// play sets what the two filters find in the sessions that begin from now on.
func (s *theatre) play(first, second script) {
	s.first.script.Store(&first)
	s.second.script.Store(&second)
}

// serveMilter serves the chain for an MTA to ask, and returns where.
func serveMilter(t *testing.T, c *chain.Chain, log *slog.Logger) string {
	t.Helper()
	front, err := milter.New(milter.Options{
		Name: "mta", Hostname: "milter.test.example", Chain: c, Log: log,
		MaxConnections: 100, MaxPacket: 1 << 20,
		Timeouts: milter.Timeouts{
			Idle: time.Minute, Packet: 10 * time.Second, Write: 10 * time.Second,
			Progress: 500 * time.Millisecond, Drain: time.Second,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := front.Serve(socket); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := front.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		serving.Wait()
	})
	return "inet:" + socket.Addr().String()
}

// A journal is a log in memory.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}
