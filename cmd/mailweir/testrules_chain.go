package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/mailweir/mailweir/configs"
	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
	"github.com/mailweir/mailweir/rules"
)

// wholeChain plays tests through the chain of a configuration, made anew for
// each: they have a DNS and a memory of their own.
type wholeChain struct{ cfg *configs.Config }

func (*wholeChain) skips(*ruleTest) string { return "" }

func (w *wholeChain) play(ctx context.Context, suite *ruleSuite, t *ruleTest, z *testDNS, asked func(asking)) (*rules.Outcome, error) {
	info, err := t.NewSession()
	if err != nil {
		return nil, err
	}
	if info.Listener, err = w.listener(info.Listener); err != nil {
		return nil, err
	}
	content, err := t.Content(t.dir)
	if err != nil {
		return nil, err
	}
	built, err := w.cfg.Build(filters.Env{
		Log:      slog.New(slog.DiscardHandler),
		Now:      time.Now,
		Resolver: z,
		Store:    newMemory(t.Store),
	})
	if err != nil {
		return nil, err
	}
	defer built.Close()
	p := &chainPlay{test: t.Test, asked: asked, content: content, outcome: &rules.Outcome{}}
	p.play(rules.WithTrace(ctx, p.matched(suite.file)), built.For(info.Listener), info)
	return p.outcome, p.panicked
}

// listener returns the listener of a test. The one that tests have by default
// stands for the first.
func (w *wholeChain) listener(name string) (string, error) {
	var names []string
	for _, l := range w.cfg.Listeners {
		names = append(names, l.Name)
	}
	var unspelt rules.Test
	unspelt.SetDefaults()
	switch {
	case slices.Contains(names, name):
		return name, nil
	case name == unspelt.Session.Listener:
		return names[0], nil
	}
	return "", fmt.Errorf("the configuration has no listener %q, it has %v", name, names)
}

// chainPlay is a test whose session passes a chain.
type chainPlay struct {
	test    *rules.Test
	content string
	asked   func(asking)
	outcome *rules.Outcome
	run     *chain.Run
	latest  []chain.Asked // since the last answer
	to      string        // the recipient in question
	waits   string        // reason of the finding that is told later

	panicked error // a filter's, which on_error would settle
}

// matched notes which rules of the file match, and tells of all.
func (p *chainPlay) matched(file string) func(rules.Step) {
	return func(step rules.Step) {
		if step.Result == rules.Matched && step.Policy == file && !slices.Contains(p.outcome.Matched, step.Rule) {
			p.outcome.Matched = append(p.outcome.Matched, step.Rule)
		}
		p.asked(asking{Step: step})
	}
}

func (p *chainPlay) play(ctx context.Context, c *chain.Chain, info *filters.Session) {
	tls, authType, authUser := info.TLS, info.AuthType, info.AuthUser
	info.TLS, info.AuthType, info.AuthUser = filters.TLS{}, "", ""
	traced := c.Traced(chain.Trace{Asked: p.note, Ends: p.ends, Closes: p.closes})
	p.run = traced.Start(ctx, info)
	defer p.run.Close()
	p.spellFacts()
	if !p.answer(filters.Connect, "", p.run.Connect()) {
		return
	}
	info.TLS = tls
	if !p.answer(filters.Helo, "", p.run.Helo(p.test.Session.Helo, p.test.Session.ESMTP)) {
		return
	}
	info.HadEHLO, info.AuthType, info.AuthUser = info.ESMTP, authType, authUser
	from := rules.ParsePath(p.test.From)
	declared, _ := from.Size()
	if _, told := from.Param("SIZE"); !told {
		declared = int64(len(p.content))
	}
	if !p.answer(filters.Mail, "", p.run.Mail(from, declared)) {
		return
	}
	if p.recipients() && p.answer(filters.Data, "", p.run.Data()) {
		p.message()
	}
}

// recipients reports whether some of them are taken.
func (p *chainPlay) recipients() bool {
	for _, to := range p.test.To {
		path := rules.ParsePath(to)
		p.to = path.String()
		d := p.run.Rcpt(path)
		if !p.answer(filters.Rcpt, p.to, d) && !d.Refuses() || d.Action == filters.Hangup {
			return false
		}
	}
	p.to = ""
	return len(p.run.Transaction().Rcpts) > 0
}

func (p *chainPlay) message() {
	section, content := []byte(p.content), []byte(p.content)
	if end := bytes.Index(content, []byte("\r\n\r\n")); end >= 0 {
		section = content[:end+2]
	}
	if d := p.run.BeginBody(); d.Action != filters.Continue {
		p.answer(filters.Body, "", d)
		return
	}
	if !p.answer(filters.EOH, "", p.run.Header(filters.ParseHeader(string(section)))) {
		return
	}
	if d := p.run.Body(content); d.Action != filters.Continue {
		p.answer(filters.Body, "", d)
		return
	}
	p.answer(filters.EOM, "", p.run.Message())
}

// answer notes what came of a stage, and reports whether the client goes on: what
// was found then, though it be told later, or else what is told.
func (p *chainPlay) answer(stage filters.Stage, to string, d chain.Decision) bool {
	v, found := p.found(p.wantsObserved(stage, to))
	if !found && d.Action != filters.Continue && d.Action != filters.Quarantine { // that was found earlier
		v = filters.Verdict{Action: d.Action, Finding: &filters.Finding{Reason: p.waits, Reply: d.Reply}}
	}
	p.latest = nil
	p.outcome.Answers = append(p.outcome.Answers, rules.StageAnswer{Stage: stage, To: to, Verdict: v})
	return d.Action == filters.Continue
}

// wantsObserved reports whether the test wants a finding of that stage that is
// only observed.
func (p *chainPlay) wantsObserved(stage filters.Stage, to string) bool {
	w := &p.test.Want
	if own, ok := w.Recipients[to]; ok && stage == filters.Rcpt {
		return own.Ignored
	}
	return map[filters.Stage]rules.Answer{
		filters.Connect: w.Connect, filters.Helo: w.Helo, filters.Mail: w.Mail, filters.Rcpt: w.Rcpt,
		filters.Data: w.Data, filters.EOH: w.EOH, filters.EOM: w.EOM,
	}[stage].Ignored
}

// found returns the verdict that was found since the last answer: the first that
// is in force, but quarantine gives way to others; else one that is only
// observed. Those of other filters than rules are so often observed that they
// count only if that is wanted.
func (p *chainPlay) found(observed bool) (v filters.Verdict, ok bool) {
	best := 0
	for _, a := range p.latest {
		if weight := weigh(&a, observed); weight > best {
			best, v = weight, verdictOf(&a)
		}
		if a.Waits {
			p.waits = verdictOf(&a).Finding.Reason
		}
	}
	return v, best > 0
}

// weigh tells which of the findings of a stage counts: the first that weighs
// most, if that is more than nothing.
func weigh(a *chain.Asked, observed bool) int {
	switch {
	case a.Decision.Action == filters.Continue:
		return 0
	case !a.Observed && a.Decision.Action != filters.Quarantine:
		return 3
	case !a.Observed:
		return 2
	case observed || a.Entry.Kind.Name == rules.Kind.Name:
		return 1
	}
	return 0
}

// verdictOf is a finding as the chain has settled it.
func verdictOf(a *chain.Asked) filters.Verdict {
	f := &filters.Finding{Reply: a.Decision.Reply, Observed: a.Observed}
	if given := a.Verdict.Finding; given != nil {
		f.Reason = given.Reason
	}
	return filters.Verdict{Action: a.Decision.Action, Finding: f}
}

// note is told of each question to a filter.
func (p *chainPlay) note(a chain.Asked) {
	p.latest = append(p.latest, a)
	p.spellFacts()
	what := ""
	if err := a.Failed(); err != nil {
		what = fmt.Sprintf("failed, on_error %s: %v", a.Entry.OnError, err)
		if strings.HasPrefix(err.Error(), "panic: ") {
			p.panicked = fmt.Errorf("%s, at %v: %w", a.Entry.Name, a.Stage, err)
		}
	} else if a.Decision.Action != filters.Continue {
		what = decisionText(&a)
	}
	if what != "" {
		p.asked(asking{Step: rules.Step{Stage: a.Stage, To: p.to, Pos: a.Entry.Pos, Why: what, Took: a.Took}, filter: a.Entry.Name})
	}
}

// spellFacts puts the facts of the test in place of what filters have learnt.
func (p *chainPlay) spellFacts() {
	p.test.SetFacts(p.run.Session())
	if t := p.run.Transaction(); t != nil {
		p.test.SetFacts(t)
	}
}

// ends notes what has become of the message.
func (p *chainPlay) ends(t *filters.Transaction) {
	o := p.outcome
	o.Header = slices.Clone(t.Header)
	for _, to := range t.Rcpts {
		o.To = append(o.To, to.String())
	}
	for _, e := range t.Edits() {
		o.Edit(e)
	}
	if !p.gains(t) {
		p.gains(t.Session)
	}
}

// closes does so for sessions without a transaction.
func (p *chainPlay) closes(s *filters.Session) {
	if p.outcome.Tags == nil && p.outcome.Score == 0 {
		p.gains(s)
	}
}

// gains notes the scores and tags, if rules have given any there.
func (p *chainPlay) gains(h filters.Holder) bool {
	score, err := rules.Score.Get(context.Background(), h)
	if errors.Is(err, filters.ErrNoFact) {
		return false
	}
	p.outcome.Score = score
	p.outcome.Tags, _ = rules.Tags.Get(context.Background(), h)
	return true
}
