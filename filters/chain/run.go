package chain

import (
	"context"
	"time"

	"github.com/mailweir/mailweir/filters"
)

// Decision is what the chain settled. Its Action is never Accept: what was
// accepted continues, and is asked about no more. It is Quarantine only at
// Message, whichever stage found that: until then the message passes, and
// another filter may refuse it.
type Decision struct {
	Action filters.Action
	Reply  filters.Reply // what to tell the client, unless Action is Continue
}

// Refuses reports whether the decision is to refuse: Reject, TempFail or Hangup.
func (d Decision) Refuses() bool {
	return d.Action == filters.Reject || d.Action == filters.TempFail || d.Action == filters.Hangup
}

// Run is a chain at work for one session. A session keeps its chain across
// reloads. A Run is not safe for concurrent use; its methods are called in the
// order of the dialogue.
type Run struct {
	chain   *Chain
	ctx     context.Context
	session *filters.Session
	tx      filters.Transaction
	began   time.Time // of the transaction
	inTx    bool
	asking  *filters.Path // the recipient in question
	refused bool          // a refusal of this transaction has been logged

	ofSession standing // settled at Connect or Helo
	ofTx      standing // settled for the transaction
	sinks     []sink
	breached  uint8 // a bit for each filters.Breach that was asked about
	trace     *tracing
}

// standing is a verdict that outlasts its stage.
type standing struct {
	accepted   *ruling // why no more filters are asked
	held       *ruling // a refusal that waits for Options.DelayReject, or that the client may not heed
	final      *ruling // what ended the transaction: a refusal, Discard, or at last Quarantine
	quarantine *ruling // the first to say so
}

// Start begins a session. ctx bounds all that filters do for it. Close must be
// called at its end.
func (c *Chain) Start(ctx context.Context, s *filters.Session) *Run {
	if c.trace != nil && c.trace.Begin != nil {
		ctx = c.trace.Begin(ctx)
	}
	s.Begin(ctx)
	r := &Run{chain: c, ctx: ctx, session: s, trace: newTracing(c.trace)}
	r.tx.Session = s
	r.tx.ForgetFindings(filters.Connect)
	return r
}

// Wants returns what Chain.Wants does.
func (r *Run) Wants() (filters.Stages, filters.Needs) { return r.chain.Wants() }

// Session returns the session.
func (r *Run) Session() *filters.Session { return r.session }

// Transaction returns the transaction under way, or nil.
func (r *Run) Transaction() *filters.Transaction {
	if !r.inTx {
		return nil
	}
	return &r.tx
}

// Held reports whether a refusal waits for its stage, or the message will be
// discarded: nothing that the client sends now needs the upstream.
func (r *Run) Held() bool {
	return r.ofSession.held != nil || r.ofSession.discards() ||
		r.inTx && (r.ofTx.held != nil || r.ofTx.discards())
}

// Connect asks about a client that has just connected.
func (r *Run) Connect() Decision {
	return ask(r, filters.Connect, r.chain.plan.connect, func(ctx context.Context, f filters.ConnectFilter) filters.Verdict {
		return f.Connect(ctx, r.session)
	})
}

// Helo asks about a HELO or EHLO. It ends a transaction under way and takes
// back what was held at an earlier one.
func (r *Run) Helo(name string, esmtp bool) Decision {
	r.abort("helo")
	r.tx.ForgetFindings(filters.Helo)
	r.session.Helo, r.session.ESMTP = name, esmtp
	r.takeBackHelo()
	return ask(r, filters.Helo, r.chain.plan.helo, func(ctx context.Context, f filters.HeloFilter) filters.Verdict {
		return f.Helo(ctx, r.session)
	})
}

// takeBackHelo makes void what was settled at an earlier HELO or EHLO: a client
// that greets anew, perhaps within TLS now, is judged anew.
func (r *Run) takeBackHelo() {
	s := &r.ofSession
	if s.held.isOf(filters.Helo) {
		r.forget(s)
	}
	for _, ru := range []**ruling{&s.accepted, &s.final, &s.quarantine} {
		if (*ru).isOf(filters.Helo) {
			*ru = nil
		}
	}
}

// isOf reports whether there is a ruling of that stage.
func (ru *ruling) isOf(s filters.Stage) bool { return ru != nil && ru.stage == s }

// Mail begins a transaction and asks about its sender. from must stay as it
// is until the transaction ends.
func (r *Run) Mail(from *filters.Path, declared int64) Decision {
	r.abort("mail")
	t := &r.tx
	t.Begin(r.ctx)
	t.Number++
	t.From, t.Rcpts, t.Declared, t.Size, t.Header = from, t.Rcpts[:0], declared, 0, nil
	t.QueueID = ""
	r.ofTx = standing{final: r.ofSession.final, quarantine: r.ofSession.quarantine}
	r.inTx, r.refused, r.began = true, false, r.chain.now()
	d := ask(r, filters.Mail, r.chain.plan.mail, func(ctx context.Context, f filters.MailFilter) filters.Verdict {
		return f.Mail(ctx, t)
	})
	if d.Refuses() {
		r.countEnd(msgRefused)
		r.end()
	}
	return d
}

// Rcpt asks about a recipient, who joins the transaction unless refused.
func (r *Run) Rcpt(to *filters.Path) Decision {
	r.asking = to
	d := ask(r, filters.Rcpt, r.chain.plan.rcpt, func(ctx context.Context, f filters.RcptFilter) filters.Verdict {
		return f.Rcpt(ctx, &r.tx, to)
	})
	r.asking = nil
	if !d.Refuses() {
		r.tx.Rcpts = append(r.tx.Rcpts, to)
	}
	return d
}

// Data asks at DATA or the first BDAT.
func (r *Run) Data() Decision {
	return ask(r, filters.Data, r.chain.plan.data, func(ctx context.Context, f filters.DataFilter) filters.Verdict {
		return f.Data(ctx, &r.tx)
	})
}

// Header asks about the complete header section.
func (r *Run) Header(h filters.Header) Decision {
	r.tx.Header = h
	return ask(r, filters.EOH, r.chain.plan.eoh, func(ctx context.Context, f filters.HeaderFilter) filters.Verdict {
		return f.Header(ctx, &r.tx)
	})
}

// Message asks for the last time before the message is acknowledged. Decisions
// taken earlier over this content are given again.
func (r *Run) Message() Decision {
	if r.ofTx.final != nil {
		return r.worded(r.ofTx.final)
	}
	if d := r.finishBody(); d.Action != filters.Continue {
		return d
	}
	d := ask(r, filters.EOM, r.chain.plan.eom, func(ctx context.Context, f filters.MessageFilter) filters.Verdict {
		return f.Message(ctx, &r.tx)
	})
	if q := r.ofTx.quarantine; q != nil && d.Action == filters.Continue {
		return r.setAside(q)
	}
	return d
}

// setAside quarantines the message: by edits if the entry spells them, or else
// by the MTA.
func (r *Run) setAside(q *ruling) Decision {
	r.ofTx.final = q
	edits := q.entry.Quarantine.edits(&r.tx)
	if len(edits) == 0 {
		return r.worded(q)
	}
	q.decision = Decision{}
	r.tx.Allow(filters.Edits)
	defer r.tx.Allow(0)
	for _, e := range edits {
		if err := r.tx.Edit(e); err != nil {
			r.logFailure(q.entry, filters.EOM, err)
		}
	}
	return Decision{}
}

// Command asks about a verb outside of the transaction. A refusal that is
// held is given at once, for such a verb would go to the upstream.
func (r *Run) Command(verb, args string) Decision {
	return ask(r, filters.Command, r.chain.plan.command, func(ctx context.Context, f filters.CommandFilter) filters.Verdict {
		return f.Command(ctx, r.session, verb, args)
	})
}

// Conduct asks about a breach of the protocol, at the first of its kind in the
// session. A refusal waits for its stage as one found at Connect does.
func (r *Run) Conduct(b filters.Breach, sample []byte) Decision {
	if r.breached&(1<<b) != 0 || r.ofSession.accepted != nil || r.ofSession.held != nil || len(r.chain.plan.conduct) == 0 {
		return Decision{}
	}
	r.breached |= 1 << b
	return ask(r, filters.Conduct, r.chain.plan.conduct, func(ctx context.Context, f filters.ConductFilter) filters.Verdict {
		return f.Conduct(ctx, r.session, b, sample)
	})
}

// Close ends the session: it logs what has not been logged, and waits for what
// the filters still do in the background.
func (r *Run) Close() {
	r.abort("closed")
	r.forget(&r.ofSession)
	r.trace.closes(r.session)
	r.session.End()
}

// abort ends a transaction that the front end has not ended by Done.
func (r *Run) abort(reason string) {
	if r.inTx {
		r.Done(Result{Reason: reason})
	}
}

// end forgets the transaction.
func (r *Run) end() {
	r.forget(&r.ofTx)
	r.trace.ends(&r.tx)
	r.ofTx, r.inTx = standing{}, false
	r.dropSinks()
	r.tx.KeepEdits(0)
	r.tx.ForgetFindings(filters.Mail)
	r.tx.End()
}

// forget drops a held refusal, and logs it if the client never came to hear it.
func (r *Run) forget(s *standing) {
	if h := s.held; h != nil && !h.told {
		r.logRefusal(h, r.worded(h).Reply)
	}
	s.held = nil
}
