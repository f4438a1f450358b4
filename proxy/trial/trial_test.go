package trial_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
	"github.com/mailweir/mailweir/proxy/relay"
	"github.com/mailweir/mailweir/proxy/trial"
	"github.com/mailweir/mailweir/proxy/upstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stub is a filter that is asked at the stages it has something for.
type stub struct {
	connect func(context.Context, *filters.Session) filters.Verdict
	helo    func(*filters.Session) filters.Verdict
	mail    func(context.Context, *filters.Transaction) filters.Verdict
	rcpt    func(*filters.Path) filters.Verdict
	data    func(*filters.Transaction) filters.Verdict
	header  func(*filters.Transaction) filters.Verdict
	message func(*filters.Transaction) filters.Verdict
}

func (f *stub) Stages() filters.Stages {
	var set filters.Stages
	for stage, there := range map[filters.Stage]bool{
		filters.Connect: f.connect != nil,
		filters.Helo:    f.helo != nil,
		filters.Mail:    f.mail != nil,
		filters.Rcpt:    f.rcpt != nil,
		filters.Data:    f.data != nil,
		filters.EOH:     f.header != nil,
		filters.EOM:     f.message != nil,
	} {
		if there {
			set |= filters.StageSet(stage)
		}
	}
	return set
}

func (f *stub) Connect(ctx context.Context, s *filters.Session) filters.Verdict {
	return f.connect(ctx, s)
}
func (f *stub) Helo(_ context.Context, s *filters.Session) filters.Verdict { return f.helo(s) }
func (f *stub) Mail(ctx context.Context, t *filters.Transaction) filters.Verdict {
	return f.mail(ctx, t)
}
func (f *stub) Rcpt(_ context.Context, _ *filters.Transaction, to *filters.Path) filters.Verdict {
	return f.rcpt(to)
}
func (f *stub) Data(_ context.Context, t *filters.Transaction) filters.Verdict { return f.data(t) }
func (f *stub) Header(_ context.Context, t *filters.Transaction) filters.Verdict {
	return f.header(t)
}
func (f *stub) Message(_ context.Context, t *filters.Transaction) filters.Verdict {
	return f.message(t)
}

// entry makes a spec of a stub; more fills in the rest.
func entry(name string, f *stub, more ...func(*chain.Spec)) chain.Spec {
	s := chain.Spec{Kind: filters.Kind{Name: name, New: func(filters.Env, any) (filters.Filter, error) { return f, nil }}}
	for _, m := range more {
		m(&s)
	}
	return s
}

func needs(n filters.Needs) func(*chain.Spec) { return func(s *chain.Spec) { s.Kind.Needs |= n } }
func sets(f filters.FactInfo) func(*chain.Spec) {
	return func(s *chain.Spec) { s.Kind.Sets = append(s.Kind.Sets, f) }
}

func build(t *testing.T, specs []chain.Spec) *chain.Chain {
	t.Helper()
	env := filters.Env{Log: slog.New(slog.DiscardHandler), Now: time.Now}
	c, err := chain.Build(env, specs, chain.Options{DelayReject: filters.Rcpt})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func session(to ...string) *trial.Session {
	return &trial.Session{
		Client:  netip.MustParseAddrPort("192.0.2.1:50000"),
		Helo:    "client.example.org",
		From:    "<alice@example.org>",
		To:      to,
		Message: []byte("Subject: x\n\n.Hello\n"),
	}
}

func options(c *chain.Chain) relay.Options {
	const long = 10 * time.Second
	return relay.Options{
		Name:        "mx",
		Hostname:    "mx.example.com",
		Chain:       c,
		Log:         slog.New(slog.DiscardHandler),
		MaxErrors:   20,
		CommandLine: 2048,
		Timeouts: relay.Timeouts{Command: long, DataBlock: long, Write: long, Upstream: upstream.Timeouts{
			Connect: long, Greeting: long, Mail: long, Rcpt: long, Data: long, Block: long, EndOfData: long, Other: long}},
	}
}

// play plays a session through a relay, and through a milter.
func play(t *testing.T, s *trial.Session, specs ...chain.Spec) map[string]*trial.Account {
	t.Helper()
	relayed, err := trial.ThroughRelay(options(build(t, specs)), s)
	if err != nil {
		t.Fatal(err)
	}
	asked := trial.ThroughMilter(trial.Milter{Name: "mx", Hostname: "mx.example.com", Chain: build(t, specs)}, s)
	return map[string]*trial.Account{"relay": relayed, "milter": asked}
}

// summary is one word for each thing that the client says, with the filters that
// were asked and the code of the reply.
func summary(a *trial.Account) string {
	var words []string
	for _, s := range a.Steps {
		verb, _, _ := strings.Cut(s.Said, " ")
		if verb == "" {
			verb = "connect"
		}
		if s.Said != "" && s.Said[0] == '(' {
			verb = "message"
		}
		for _, q := range s.Asked {
			verb += "." + q.Entry.Name
		}
		if s.Note != "" {
			verb += "(" + s.Note + ")"
		}
		code := "gone"
		if len(s.Reply.Lines) > 0 {
			code = s.Reply.Lines[0][:3]
		}
		words = append(words, verb+":"+code)
	}
	return strings.Join(words, " ")
}

func want(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s\n got %v\nwant %v", what, got, want)
	}
}

func reject() filters.Verdict { return filters.Refuse("bad", 550, [3]uint16{5, 7, 1}, "Bad") }

func verdict(a filters.Action) filters.Verdict {
	return filters.Verdict{Action: a, Finding: &filters.Finding{Reason: "why"}}
}

func TestAccepted(t *testing.T) {
	var seen filters.Header
	header := func(tx *filters.Transaction) filters.Verdict {
		seen = tx.Header
		return filters.Verdict{}
	}
	var declared int64
	mail := func(_ context.Context, tx *filters.Transaction) filters.Verdict {
		declared = tx.Declared
		return filters.Verdict{}
	}
	size := int64(len("Subject: x\r\n\r\n.Hello\r\n"))
	var had int64
	message := func(tx *filters.Transaction) filters.Verdict {
		had = tx.Size
		return filters.Verdict{}
	}
	read := entry("read", &stub{mail: mail, header: header, message: message}, needs(filters.EditHeader))
	for door, a := range play(t, session("<bob@example.com>"), read) {
		want(t, door, summary(a), "connect:220 EHLO:250 MAIL.read:250 RCPT:250 DATA:354 message.read.read:250")
		want(t, door+" end", a.End, trial.Accepted)
		want(t, door+" header", seen, filters.Header{{Name: "Subject", Value: " x"}})
		want(t, door+" declared", declared, size)
	}
	want(t, "size", had, size)
}

func TestRefusedRecipients(t *testing.T) {
	only := entry("rcpt", &stub{rcpt: func(to *filters.Path) filters.Verdict {
		switch to.Local {
		case "bob":
			return filters.Verdict{}
		case "carol":
			return filters.Refuse("soon", 450, [3]uint16{4, 2, 1}, "Soon")
		}
		return reject()
	}})
	ends := func(a *trial.Account) (list []trial.End) {
		for _, r := range a.Recipients {
			list = append(list, r.End)
		}
		return list
	}
	for door, a := range play(t, session("<nobody@example.com>", "<bob@example.com>", "<carol@example.com>"), only) {
		want(t, door, summary(a), "connect:220 EHLO:250 MAIL:250 RCPT.rcpt:550 RCPT.rcpt:250 RCPT.rcpt:450 DATA:354 message:250")
		want(t, door+" ends", ends(a), []trial.End{trial.Refused, trial.Accepted, trial.TempFailed})
		want(t, door+" end", a.End, trial.Accepted)
	}
	for door, a := range play(t, session("<nobody@example.com>", "<carol@example.com>"), only) {
		want(t, door, summary(a), "connect:220 EHLO:250 MAIL:250 RCPT.rcpt:550 RCPT.rcpt:450")
		want(t, door+" ends", ends(a), []trial.End{trial.Refused, trial.TempFailed})
	}
}

// What waits is marked where it is found, and the reply says where it comes
// from.
func TestHeld(t *testing.T) {
	specs := []chain.Spec{
		entry("early", &stub{helo: func(*filters.Session) filters.Verdict { return reject() }}),
		entry("rcpt", &stub{rcpt: func(*filters.Path) filters.Verdict { return filters.Verdict{} }}),
	}
	for door, a := range play(t, session("<bob@example.com>"), specs...) {
		want(t, door, summary(a), "connect:220 EHLO.early:250 MAIL:250 RCPT(what early found at helo is told now):550")
		want(t, door+" end", a.End, trial.Refused)
		if !a.Steps[1].Asked[0].Waits {
			t.Errorf("%s: the refusal does not wait", door)
		}
	}
}

func TestAcceptedEarly(t *testing.T) {
	specs := []chain.Spec{
		entry("trust", &stub{connect: func(context.Context, *filters.Session) filters.Verdict { return filters.Accepted("known") }}),
		entry("rcpt", &stub{rcpt: func(*filters.Path) filters.Verdict { return reject() }}),
	}
	for door, a := range play(t, session("<bob@example.com>"), specs...) {
		want(t, door, summary(a), "connect.trust:220 EHLO:250 MAIL:250 RCPT(no filter is asked: trust has accepted at connect):250 DATA:354 message:250")
	}
}

func TestHangup(t *testing.T) {
	drop := entry("drop", &stub{connect: func(context.Context, *filters.Session) filters.Verdict {
		return filters.Refuse("go", 521, [3]uint16{5, 7, 1}, "Go")
	}})
	accounts := play(t, session("<bob@example.com>"), drop)
	want(t, "relay", summary(accounts["relay"]), "connect.drop:521")
	want(t, "relay end", accounts["relay"].Recipients[0].End, trial.Refused)
	want(t, "milter", summary(accounts["milter"]), "connect.drop:421") // as MTAs do
	want(t, "milter end", accounts["milter"].Recipients[0].End, trial.TempFailed)
}

// A hang-up over one recipient ends the session for all.
func TestHangupAtRcpt(t *testing.T) {
	drop := entry("drop", &stub{rcpt: func(to *filters.Path) filters.Verdict {
		if to.Local == "bob" {
			return filters.Verdict{}
		}
		return filters.Refuse("go", 421, [3]uint16{4, 7, 1}, "Go")
	}})
	for door, a := range play(t, session("<bob@example.com>", "<trap@example.com>", "<carol@example.com>"), drop) {
		want(t, door, summary(a), "connect:220 EHLO:250 MAIL:250 RCPT.drop:250 RCPT.drop:421")
		want(t, door+" end", a.End, trial.TempFailed)
		want(t, door+" last", a.Recipients[2].Reply.Code, 421)
	}
}

func TestDiscarded(t *testing.T) {
	drop := entry("drop", &stub{data: func(*filters.Transaction) filters.Verdict { return verdict(filters.Discard) }})
	for door, a := range play(t, session("<bob@example.com>"), drop) {
		want(t, door+" end", a.End, trial.Discarded)
		want(t, door+" recipient", a.Recipients[0].End, trial.Discarded)
		want(t, door+" reply", a.Recipients[0].Reply.Code, 250)
	}
}

func TestSetAside(t *testing.T) {
	aside := entry("aside", &stub{message: func(*filters.Transaction) filters.Verdict { return verdict(filters.Quarantine) }},
		needs(filters.DoQuarantine), func(s *chain.Spec) {
			s.Quarantine.Field = filters.AddField{Name: "X-Quarantine", Value: "yes"}
		})
	for door, a := range play(t, session("<bob@example.com>"), aside) {
		want(t, door+" end", a.End, trial.Accepted)
		want(t, door+" set aside", a.SetAside, true)
		want(t, door+" edits", a.Edits, []filters.Edit{filters.AddField{Name: "X-Quarantine", Value: "yes"}})
	}
}

// Edits are told where they are wanted, and at the end if they would be made.
func TestEdits(t *testing.T) {
	field := filters.AddField{Name: "X-By", Value: "us"}
	edit := entry("edit", &stub{header: func(tx *filters.Transaction) filters.Verdict {
		if err := tx.Edit(field); err != nil {
			return filters.Failed(err)
		}
		return filters.Verdict{}
	}}, needs(filters.EditHeader))
	for door, a := range play(t, session("<bob@example.com>"), edit) {
		want(t, door+" edits", a.Edits, []filters.Edit{field})
	}
	last := entry("last", &stub{message: func(*filters.Transaction) filters.Verdict { return reject() }})
	for door, a := range play(t, session("<bob@example.com>"), edit, last) {
		want(t, door, a.End, trial.Refused)
		want(t, door+" edits of a refused message", len(a.Edits), 0)
		asked := a.Steps[len(a.Steps)-1].Asked
		want(t, door+" edits where they are wanted", asked[0].Edits, []filters.Edit{field})
	}
}

var errBoom = errors.New("boom")

// Facts are told with who set them, those that are still being learnt as well.
// Those that no kind declares are not.
func TestFacts(t *testing.T) {
	name := filters.NewFact[string]("client.name", "")
	late := filters.NewFact[int]("late.number", "")
	lost := filters.NewFact[int]("lost.number", "")
	unset := filters.NewFact[int]("unset.number", "")
	own := filters.NewFact[int]("own", "")
	specs := []chain.Spec{
		entry("a", &stub{connect: func(_ context.Context, s *filters.Session) filters.Verdict {
			name.Set(s, "mx.example.org")
			own.Set(s, 1)
			return filters.Verdict{}
		}}, sets(name.Info), sets(unset.Info)),
		entry("b", &stub{mail: func(_ context.Context, tx *filters.Transaction) filters.Verdict {
			late.Go(tx, func(ctx context.Context) (int, error) { // slower than the session
				select {
				case <-ctx.Done():
					return 0, ctx.Err()
				case <-time.After(50 * time.Millisecond):
					return 7, nil
				}
			})
			lost.Go(tx, func(context.Context) (int, error) { return 0, errBoom })
			return filters.Verdict{}
		}}, sets(late.Info), sets(lost.Info)),
	}
	for door, a := range play(t, session("<bob@example.com>"), specs...) {
		want(t, door, a.Facts, []trial.Fact{
			{Name: "client.name", Value: "mx.example.org", By: "a"},
			{Name: "late.number", Value: 7, By: "b"},
			{Name: "lost.number", Err: errBoom, By: "b"},
		})
	}
}

// A client that waits for its greeting says nothing, and that takes no time.
func TestWaitForGreeting(t *testing.T) {
	var said []byte
	listen := entry("listen", &stub{connect: func(ctx context.Context, s *filters.Session) filters.Verdict {
		if s.Wire == nil {
			return filters.Verdict{}
		}
		if err := s.Wire.Tease("wait"); err != nil {
			return filters.Failed(err)
		}
		said = s.Wire.Listen(ctx, time.Hour)
		return filters.Verdict{}
	}}, needs(filters.HearClient))
	began := time.Now()
	a := play(t, session("<bob@example.com>"), listen)["relay"]
	want(t, "replies", a.Steps[0].Reply.Lines, []string{"220-mx.example.com wait", "220 mx.example.com ESMTP"})
	want(t, "end", a.End, trial.Accepted)
	if len(said) > 0 || time.Since(began) > time.Minute {
		t.Errorf("heard %q after %v", said, time.Since(began))
	}
}

// What the relay itself refuses is refused.
func TestRelaysOwnRefusals(t *testing.T) {
	s := session("<bob@example.com>")
	s.Message = []byte("Subject: x\r\n\r\nbare\rcr\r\n")
	a := play(t, s)["relay"]
	want(t, "end", a.End, trial.Refused)
	want(t, "code", a.Steps[len(a.Steps)-1].Reply.Code, 550)
	s.Helo = "a\x01b"
	a = play(t, s)["relay"]
	want(t, "helo", summary(a), "connect:220 EHLO:501")
}

func TestParameters(t *testing.T) {
	s := session("<bøb@example.com>")
	s.Message = []byte("Subject: x\n\nø\n")
	for door, a := range play(t, s) {
		want(t, door, a.Steps[2].Said, "MAIL FROM:<alice@example.org> SIZE=18 BODY=8BITMIME SMTPUTF8")
		want(t, door+" end", a.End, trial.Accepted)
	}
}

// Those who would have asked the DNS are noted.
func TestUnasked(t *testing.T) {
	var q trial.Questions
	var err error
	asks := filters.Kind{Name: "asks", New: func(env filters.Env, _ any) (filters.Filter, error) {
		return &stub{connect: func(ctx context.Context, _ *filters.Session) filters.Verdict {
			_, err = env.Resolver.Fresh().Lookup(ctx, filters.Question{Name: "example.org", Type: filters.TypeA})
			if _, _, ok := env.Resolver.Known(filters.Question{Name: "example.org", Type: filters.TypeA}); ok {
				t.Error("something is known")
			}
			return filters.Verdict{}
		}}, nil
	}}
	calm := filters.Kind{Name: "calm", New: func(filters.Env, any) (filters.Filter, error) { return &stub{}, nil }}
	play(t, session("<bob@example.com>"),
		chain.Spec{Kind: q.Keep(asks, "one")}, chain.Spec{Kind: q.Keep(asks, "another")}, chain.Spec{Kind: q.Keep(calm, "calm")})
	want(t, "names", q.Names(), []string{"another", "one"})
	dns, ok := errors.AsType[*filters.DNSError](err)
	if !ok || !errors.Is(err, trial.ErrUnasked) || dns.Name != "example.org" || filters.NotFound(err) {
		t.Errorf("error %v", err)
	}
}

// Somebody types, line by line, and reads the answers.
func TestTalk(t *testing.T) {
	in, keyboard := io.Pipe()
	screen, out := io.Pipe()
	var clients []string
	who := entry("who", &stub{connect: func(_ context.Context, s *filters.Session) filters.Verdict {
		clients = append(clients, s.Client.String(), s.Local.String())
		return filters.Verdict{}
	}}, needs(filters.EditHeader))
	s := session()
	s.Local = netip.MustParseAddrPort("[2001:db8::25]:25")
	talked := make(chan error, 1)
	go func() {
		talked <- trial.Talk(options(build(t, []chain.Spec{who})), s, in, out)
		out.Close()
	}()
	buf := make([]byte, 4<<10)
	hear := func(code string) {
		t.Helper()
		n, err := screen.Read(buf)
		if err != nil || !strings.HasPrefix(string(buf[:n]), code) || strings.Contains(string(buf[:n]), "\r") {
			t.Fatalf("heard %q, %v, want %s", buf[:n], err, code)
		}
	}
	hear("220 mx.example.com")
	for _, turn := range []struct{ say, code string }{
		{"EHLO client.example.org\n", "250-"},
		{"MAIL FROM:<a@example.org>\r\n", "250 2.1.0"},
		{"RCPT TO:<b@example.com>\n", "250 2.1.5"},
		{"VRFY b\n", "252 "},
		{"DATA\n", "354"},
		{"Subject: x\n\n..\n.\n", "250 2.0.0"},
		{"QUIT\n", "221"},
	} {
		if _, err := io.WriteString(keyboard, turn.say); err != nil {
			t.Fatal(err)
		}
		hear(turn.code)
	}
	if err := <-talked; err != nil {
		t.Error(err)
	}
	keyboard.Close()
	if want := []string{"192.0.2.1:50000", "[2001:db8::25]:25"}; !slices.Equal(clients, want) {
		t.Errorf("client and local %q, want %q", clients, want)
	}
}

// The end of the input ends the session, after its last answer.
func TestTalkEnds(t *testing.T) {
	var out strings.Builder
	if err := trial.Talk(options(build(t, nil)), session(), strings.NewReader("NOOP\nNOOP"), &out); err != nil {
		t.Fatal(err)
	}
	if want := "220 mx.example.com ESMTP\n250 2.0.0 Ok\n"; out.String() != want {
		t.Errorf("heard %q, want %q", out.String(), want)
	}
}

// A screen that takes nothing ends the session with its error.
func TestTalkToNobody(t *testing.T) {
	screen, out := io.Pipe()
	screen.CloseWithError(errBoom)
	if err := trial.Talk(options(build(t, nil)), session(), strings.NewReader("NOOP\n"), out); !errors.Is(err, errBoom) {
		t.Errorf("error %v, want %v", err, errBoom)
	}
}

// A chain that asks for what a relay cannot do is no session.
func TestMisfit(t *testing.T) {
	aside := entry("aside", &stub{message: func(*filters.Transaction) filters.Verdict { return verdict(filters.Quarantine) }}, needs(filters.DoQuarantine))
	if _, err := trial.ThroughRelay(options(build(t, []chain.Spec{aside})), session()); err == nil {
		t.Error("no error")
	}
}
