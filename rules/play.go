package rules

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mailweir/mailweir/filters"
)

// NewSession makes the session of a test, with its facts.
func (t *Test) NewSession() (*filters.Session, error) {
	client, err := addrPort(t.Session.Client, 40000)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	local, err := addrPort(t.Session.Local, 25)
	if err != nil {
		return nil, fmt.Errorf("local: %w", err)
	}
	var via netip.AddrPort
	if t.Session.Via != "" {
		if via, err = addrPort(t.Session.Via, 40000); err != nil {
			return nil, fmt.Errorf("via: %w", err)
		}
	}
	ts := &t.Session
	return &filters.Session{
		ID: "test", Listener: ts.Listener, Hostname: ts.Hostname, Client: client, Via: via, Local: local,
		ClientName: ts.Name, Daemon: ts.Daemon,
		TLS:      filters.TLS(ts.TLS),
		AuthUser: ts.Auth.User, AuthType: ts.Auth.Type,
	}, nil
}

func addrPort(s string, port uint16) (netip.AddrPort, error) {
	if a, err := netip.ParseAddrPort(s); err == nil {
		return a, nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		err = fmt.Errorf("%s is not an IP address, with or without a port", quote(s))
	}
	return netip.AddrPortFrom(a, port), err
}

// SetFacts sets the facts that the test spells.
func (t *Test) SetFacts(h filters.Holder) {
	for name, v := range t.Facts {
		filters.NewFact[any](name, "").Set(h, plainFact(v))
	}
}

// plainFact turns what YAML has into what filters set.
func plainFact(v any) any {
	switch v := v.(type) {
	case uint64:
		return int(min(v, math.MaxInt))
	case int64:
		return int(v)
	case []any:
		texts := make([]string, len(v))
		for i, item := range v {
			texts[i] = fmt.Sprint(item)
		}
		return texts
	}
	return v
}

// ParsePath reads a path as tests spell it: an address, and parameters behind a
// space.
func ParsePath(s string) *filters.Path {
	address, params, _ := strings.Cut(strings.TrimSpace(s), " ")
	address = strings.TrimSuffix(strings.TrimPrefix(address, "<"), ">")
	p := &filters.Path{Local: address, Raw: "<" + address + ">", Params: params}
	if at := strings.LastIndexByte(address, '@'); at >= 0 {
		p.Local, p.Domain = strings.Trim(address[:at], `"`), address[at+1:]
	}
	return p
}

// Content returns the test's message in wire form: lines end in CRLF. Relative
// file names start in dir.
func (t *Test) Content(dir string) (string, error) {
	text := t.Message
	if text != "" && !strings.Contains(text, "\n") {
		name := text
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		data, err := readMessage(name)
		if err != nil {
			return "", err
		}
		text = data
	}
	return strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\n", "\r\n"), nil
}

// Play plays the session of a test to the policy alone, without other filters:
// facts are as the test spells them. dir is where the names of message files
// start. Its error is about the test, not about the outcome.
func (p *Policy) Play(ctx context.Context, t *Test, dir string) (*Outcome, error) {
	outer := tracer(ctx)
	var matched []string
	o, err := p.play(WithTrace(ctx, func(step Step) {
		if step.Result == Matched && !slices.Contains(matched, step.Rule) {
			matched = append(matched, step.Rule)
		}
		if outer != nil {
			outer(step)
		}
	}), t, dir)
	if err != nil {
		return nil, err
	}
	o.Matched = matched
	return o, nil
}

func (p *Policy) play(ctx context.Context, t *Test, dir string) (*Outcome, error) {
	s, err := t.NewSession()
	if err != nil {
		return nil, err
	}
	content, err := t.Content(dir)
	if err != nil {
		return nil, err
	}
	s.Begin(ctx)
	defer s.End()
	t.SetFacts(s)
	pl := &play{p: p, ctx: ctx, s: s, o: &Outcome{}, tx: &filters.Transaction{Session: s, Number: 1, From: ParsePath(t.From)}}
	pl.dialogue(t, content)
	pl.finish()
	return pl.o, nil
}

type play struct {
	p   *Policy
	ctx context.Context
	s   *filters.Session
	tx  *filters.Transaction
	o   *Outcome
}

// answer notes a verdict and reports whether the dialogue goes on.
func (pl *play) answer(stage filters.Stage, to string, v filters.Verdict) bool {
	pl.o.Answers = append(pl.o.Answers, StageAnswer{stage, to, v})
	if v.Finding != nil && v.Finding.Observed {
		return true
	}
	switch v.Action {
	case filters.Continue:
		return v.Finding == nil
	case filters.Quarantine:
		return true
	}
	return false
}

// ask asks the policy at a stage, if it has rules there.
func (pl *play) ask(stage filters.Stage, to *filters.Path, call func() filters.Verdict) (goesOn bool) {
	v := filters.Verdict{}
	if pl.p.Stages().Has(stage) {
		v = call()
	}
	name := ""
	if to != nil {
		name = to.String()
	}
	goesOn = pl.answer(stage, name, v)
	return goesOn || to != nil && v.Action == filters.Accept
}

func (pl *play) dialogue(t *Test, content string) {
	if !pl.ask(filters.Connect, nil, func() filters.Verdict { return pl.p.Connect(pl.ctx, pl.s) }) {
		return
	}
	pl.s.Helo, pl.s.ESMTP = t.Session.Helo, t.Session.ESMTP
	if !pl.ask(filters.Helo, nil, func() filters.Verdict { return pl.p.Helo(pl.ctx, pl.s) }) {
		return
	}
	tx := pl.tx
	tx.Begin(pl.ctx)
	tx.Declared = declared(tx.From, content)
	tx.Allow(filters.Edits)
	if !pl.ask(filters.Mail, nil, func() filters.Verdict { return pl.p.Mail(pl.ctx, tx) }) {
		return
	}
	for _, to := range t.To {
		path := ParsePath(to)
		if pl.ask(filters.Rcpt, path, func() filters.Verdict { return pl.p.Rcpt(pl.ctx, tx, path) }) {
			tx.Rcpts = append(tx.Rcpts, path)
		}
	}
	if len(tx.Rcpts) > 0 {
		pl.message(content)
	}
}

// declared is the SIZE of MAIL, or that of the message if there is none.
func declared(from *filters.Path, content string) int64 {
	var size filters.Bytes
	if v, ok := from.Param("SIZE"); ok && size.UnmarshalText([]byte(v)) == nil {
		return int64(size)
	}
	return int64(len(content))
}

// message plays the stages from DATA on.
func (pl *play) message(content string) {
	tx := pl.tx
	if !pl.ask(filters.Data, nil, func() filters.Verdict { return pl.p.Data(pl.ctx, tx) }) {
		return
	}
	head, _, _ := strings.Cut(content, "\r\n\r\n")
	tx.Header = filters.ParseHeader(head + "\r\n")
	if !pl.ask(filters.EOH, nil, func() filters.Verdict { return pl.p.Header(pl.ctx, tx) }) {
		return
	}
	tx.Size = int64(len(content))
	if sink := pl.p.Body(pl.ctx, tx); sink != nil {
		if _, err := sink.Write([]byte(content)); err != nil && !errors.Is(err, filters.ErrSkip) {
			pl.answer(filters.Body, "", filters.Failed(err))
			return
		}
	}
	pl.ask(filters.EOM, nil, func() filters.Verdict { return pl.p.Message(pl.ctx, tx) })
}

// finish notes what has become of the message.
func (pl *play) finish() {
	pl.o.Header = slices.Clone(pl.tx.Header)
	for _, p := range pl.tx.Rcpts {
		pl.o.To = append(pl.o.To, p.String())
	}
	for _, e := range pl.tx.Edits() {
		pl.o.Edit(e)
	}
	ev := pl.p.begin(pl.ctx, filters.EOM, pl.s, pl.tx, nil)
	defer ev.finish()
	pl.o.Tags, pl.o.Score = slices.Clone(ev.state().tags), ev.state().score
	pl.tx.End()
}

// Edit makes a change to header section or recipients, as a front end would.
func (o *Outcome) Edit(e filters.Edit) {
	switch e := e.(type) {
	case filters.AddField:
		o.Header = append(o.Header, filters.Field{Name: e.Name, Value: " " + e.Value})
	case filters.InsertField:
		o.Header = slices.Insert(o.Header, min(max(e.Index-1, 0), len(o.Header)), filters.Field{Name: e.Name, Value: " " + e.Value})
	case filters.ChangeField:
		if i := o.field(e.Name, e.Nth); i >= 0 {
			o.Header[i].Value = " " + e.Value
		} else {
			o.Header = append(o.Header, filters.Field{Name: e.Name, Value: " " + e.Value})
		}
	case filters.RemoveField:
		if i := o.field(e.Name, e.Nth); i >= 0 {
			o.Header = slices.Delete(o.Header, i, i+1)
		}
	case filters.AddRcpt:
		o.To = append(o.To, e.To.String())
	case filters.RemoveRcpt:
		p := filters.Path{Raw: e.Raw}
		o.To = slices.DeleteFunc(o.To, func(to string) bool { return to == p.String() })
	}
}

// field returns the place of the nth field of a name, or -1.
func (o *Outcome) field(name string, nth int) int {
	for i, f := range o.Header {
		if !strings.EqualFold(f.Name, name) {
			continue
		}
		if nth--; nth == 0 {
			return i
		}
	}
	return -1
}
