package rules

import (
	"context"
	"io"
	"log/slog"

	"github.com/mailweir/mailweir/filters"
)

var (
	_ filters.ConnectFilter = (*Policy)(nil)
	_ filters.HeloFilter    = (*Policy)(nil)
	_ filters.MailFilter    = (*Policy)(nil)
	_ filters.RcptFilter    = (*Policy)(nil)
	_ filters.DataFilter    = (*Policy)(nil)
	_ filters.HeaderFilter  = (*Policy)(nil)
	_ filters.BodyFilter    = (*Policy)(nil)
	_ filters.MessageFilter = (*Policy)(nil)
	_ filters.Stager        = (*Policy)(nil)
	_ filters.Needer        = (*Policy)(nil)
	_ filters.Sourcer       = (*Policy)(nil)
)

// Stages are those at which some rule is asked, and what they take.
func (p *Policy) Stages() filters.Stages { return p.stages }

// Needs are what the rules do to messages.
func (p *Policy) Needs() filters.Needs { return p.needs }

// Connect asks the rules about a client.
func (p *Policy) Connect(ctx context.Context, s *filters.Session) filters.Verdict {
	return p.ask(ctx, filters.Connect, s, nil, nil)
}

// Helo asks the rules about a HELO or EHLO.
func (p *Policy) Helo(ctx context.Context, s *filters.Session) filters.Verdict {
	return p.ask(ctx, filters.Helo, s, nil, nil)
}

// Mail asks the rules about a sender.
func (p *Policy) Mail(ctx context.Context, t *filters.Transaction) filters.Verdict {
	return p.ask(ctx, filters.Mail, t.Session, t, nil)
}

// Rcpt asks the rules, and those of the recipient's set, about a recipient.
func (p *Policy) Rcpt(ctx context.Context, t *filters.Transaction, to *filters.Path) filters.Verdict {
	return p.ask(ctx, filters.Rcpt, t.Session, t, to)
}

// Data asks the rules about the recipients together.
func (p *Policy) Data(ctx context.Context, t *filters.Transaction) filters.Verdict {
	return p.ask(ctx, filters.Data, t.Session, t, nil)
}

// Header asks the rules about the header section.
func (p *Policy) Header(ctx context.Context, t *filters.Transaction) filters.Verdict {
	return p.ask(ctx, filters.EOH, t.Session, t, nil)
}

// Body returns a sink for what the rules want to know of the message.
func (p *Policy) Body(ctx context.Context, t *filters.Transaction) io.Writer {
	if !p.readsBody && !p.readsParts {
		return nil
	}
	e := p.begin(ctx, filters.Body, t.Session, t, nil)
	defer e.finish()
	st := e.state()
	if st.passed {
		return nil
	}
	st.content = newContent(p.readsBody, p.readsParts)
	return st.content
}

// Message asks the rules about the whole message.
func (p *Policy) Message(ctx context.Context, t *filters.Transaction) filters.Verdict {
	return p.ask(ctx, filters.EOM, t.Session, t, nil)
}

// ask puts the question of one stage.
func (p *Policy) ask(ctx context.Context, stage filters.Stage, s *filters.Session, t *filters.Transaction, to *filters.Path) filters.Verdict {
	e := p.begin(ctx, stage, s, t, to)
	defer e.finish()
	if stage == filters.Helo {
		e.newHelo()
	}
	var own *set
	if stage == filters.Rcpt {
		own = p.chooser.choose(e, to)
	}
	if plan := p.plans[stage]; plan != nil && !(p.stateful && e.state().passed) {
		if err := e.judge(plan, own); err != nil {
			return filters.Failed(err)
		}
	}
	if stage == filters.Rcpt && p.splits && !e.refuses() && p.strange(e, own) {
		return elsewhere
	}
	if e.delay > 0 {
		e.wait()
	}
	return e.verdict
}

// judge asks the rules under rules, then those of the sets.
func (e *evaluation) judge(p *plan, own *set) error {
	var chosen []uint64
	if e.stage > filters.Rcpt && e.p.chooser != nil {
		chosen = e.chosen()
	}
	p.index.candidates(e)
	for i, s := range p.segments {
		switch {
		case i == 0:
		case !s.set.serves(e.s.Listener):
			continue
		case s.set.to == nil:
		case e.stage == filters.Rcpt && s.set != own:
			continue
		case e.stage > filters.Rcpt:
			if !has(chosen, s.set.number) || has(e.state().sets, s.set.number) {
				continue
			}
		}
		if err := e.walk(p, s); err != nil {
			return err
		}
		if e.passed && (s.set == nil || s.set.to == nil) {
			return nil
		}
		e.passed = false // another set of the same message has its say
	}
	return nil
}

// chosen returns the sets that the message's recipients are of.
func (e *evaluation) chosen() []uint64 {
	bits := make([]uint64, len(e.p.sets)/64+1)
	for _, to := range e.t.Rcpts {
		if s := e.p.chooser.choose(e, to); s != nil {
			bits[s.number/64] |= 1 << (s.number % 64)
		}
	}
	return bits
}

func (e *evaluation) refuses() bool {
	v := e.verdict
	if v.Finding == nil || v.Finding.Observed {
		return false
	}
	return v.Action == filters.Reject || v.Action == filters.TempFail || v.Action == filters.Hangup
}

// strange reports whether the recipient's set judges messages by other rules
// than that of the recipients before it. One verdict must serve all.
func (p *Policy) strange(e *evaluation, own *set) bool {
	if len(e.t.Rcpts) == 0 {
		return false
	}
	first := p.chooser.choose(e, e.t.Rcpts[0])
	return contentOf(first) != contentOf(own)
}

// contentOf is the set if it has rules about messages.
func contentOf(s *set) *set {
	if s == nil || !s.content {
		return nil
	}
	return s
}

// elsewhere makes the client send another transaction (RFC 5321 section
// 4.5.3.1.10).
var elsewhere = filters.Refuse("other_policy", 452, [3]uint16{4, 5, 3}, "Another policy applies to this recipient: send to it in another transaction")

// logObserved logs what a rule that is only observed would have done.
func (p *Policy) logObserved(e *evaluation, r *rule) {
	id := e.s.ID
	if e.t != nil {
		id = e.t.ID()
	}
	p.log.LogAttrs(e.ctx, slog.LevelInfo, "rule observed",
		slog.String("id", id), slog.String("rule", r.name), slog.String("stage", e.stage.String()), slog.String("then", r.then.String()))
}
