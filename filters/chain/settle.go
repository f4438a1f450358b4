package chain

import (
	"errors"
	"fmt"

	"github.com/mailweir/mailweir/filters"
)

// ruling is a settled finding, with what the log wants to know of it.
type ruling struct {
	entry    *entry
	stage    filters.Stage
	reason   string
	err      error
	decision Decision // its reply lacks the id: see worded
	waits    bool     // for Options.DelayReject
	told     bool     // the client has heard it, or will at once
}

// answers reports whether the ruling is no refusal but a filter's own answer
// to a verb.
func (ru *ruling) answers() bool {
	return ru.stage == filters.Command && ru.decision.Reply.Code < 400
}

// discards reports whether the message is to be acknowledged and dropped.
func (s *standing) discards() bool {
	return s.final != nil && s.final.decision.Action == filters.Discard
}

// standing answers for a stage from what was settled before, if it can.
func (r *Run) standing(stage filters.Stage) (Decision, bool) {
	h := r.ofSession.held
	if h == nil && r.inTx {
		h = r.ofTx.held
	}
	switch {
	case stage == filters.Conduct: // Run.Conduct has looked
		return Decision{}, false
	case h != nil && h.waits && r.early(stage):
		return Decision{}, true
	case h != nil:
		return r.tell(h), true
	case stage == filters.Command: // it belongs to no transaction
		return Decision{}, r.ofSession.accepted != nil
	case r.inTx && r.ofTx.final != nil:
		return r.worded(r.ofTx.final), true
	case r.ofSession.final != nil:
		return Decision{}, true
	}
	return Decision{}, r.ofSession.accepted != nil || r.inTx && r.ofTx.accepted != nil
}

// settle turns a filter's verdict into the chain's decision, and reports
// whether it ends the stage.
func (r *Run) settle(e *entry, stage filters.Stage, given filters.Verdict) (Decision, bool) {
	given = e.allow(stage, given)
	v := r.resolve(e, stage, given)
	if v.Action == filters.Continue {
		r.trace.settled(e, stage, given, nil, false)
		return Decision{}, false
	}
	ru := newRuling(e, stage, v)
	observed := e.Action == Ignore || v.Finding.Observed
	r.note(e, stage, ru.reason, ru.decision.Action, observed)
	r.countRuling(ru, observed)
	if observed {
		r.logIgnored(ru)
		r.trace.settled(e, stage, given, ru, true)
		return Decision{}, false
	}
	d, stop := r.rule(ru)
	r.trace.settled(e, stage, given, ru, false)
	return d, stop
}

// allow makes a verdict that the filter may not give its failure. There is a
// finding in what it returns.
func (e *entry) allow(stage filters.Stage, v filters.Verdict) filters.Verdict {
	if v.Finding == nil {
		v.Finding = &filters.Finding{}
	}
	switch {
	case v.Action > filters.Hangup:
		return filters.Failed(fmt.Errorf("verdict %d does not exist", uint8(v.Action)))
	case v.Action == filters.Quarantine && e.Kind.Needs&filters.DoQuarantine == 0:
		return filters.Failed(errors.New("verdict quarantine, but its kind does not declare the need"))
	case stage == filters.Conduct && (v.Action == filters.Discard || v.Action == filters.Quarantine):
		return filters.Failed(fmt.Errorf("verdict %s on a breach, which is no message", v.Action))
	}
	return v
}

// resolve makes a failure what on_error says, and leaves other verdicts alone.
func (r *Run) resolve(e *entry, stage filters.Stage, v filters.Verdict) filters.Verdict {
	if v.Action != filters.Continue || v.Finding.Err == nil {
		return v
	}
	r.logFailure(e, stage, v.Finding.Err)
	r.chain.counted.failures.Add(1, r.session.Listener, stage.String(), e.Name, e.OnError.String())
	settled := &filters.Finding{Reply: undecided, Reason: v.Finding.Reason, Observed: v.Finding.Observed}
	switch e.OnError {
	case ErrorContinue:
		r.note(e, stage, v.Finding.Reason, filters.Continue, e.Action == Ignore)
		return filters.Verdict{}
	case ErrorReject:
		settled.Reply = undecidedReject
		return filters.Verdict{Action: filters.Reject, Finding: settled}
	}
	return filters.Verdict{Action: filters.TempFail, Finding: settled}
}

// note tells the filters that are asked later. What answers a verb belongs to
// no message.
func (r *Run) note(e *entry, stage filters.Stage, reason string, action filters.Action, observed bool) {
	if stage != filters.Command {
		r.tx.Note(filters.Noted{Filter: e.Name, Stage: stage, Reason: reason, Action: action, Ignored: observed})
	}
}

func newRuling(e *entry, stage filters.Stage, v filters.Verdict) *ruling {
	ru := &ruling{entry: e, stage: stage, reason: v.Finding.Reason, err: v.Finding.Err}
	if ru.reason == "" {
		ru.reason = v.Action.String()
	}
	ru.decision = Decision{v.Action, wording(stage, v.Action, v)}
	refuses := v.Action == filters.Reject || v.Action == filters.TempFail
	if e.Action == Drop && refuses && !ru.answers() {
		ru.decision = Decision{filters.Hangup, wording(stage, filters.Hangup, v)}
	}
	return ru
}

// rule makes a ruling stand for as long as its stage says, and reports whether
// it ends the stage.
func (r *Run) rule(ru *ruling) (Decision, bool) {
	st := &r.ofTx
	if ru.stage.OfSession() {
		st = &r.ofSession
	}
	lasts := ru.stage != filters.Command
	switch ru.decision.Action {
	case filters.Accept:
		if st.accepted == nil && lasts && ru.stage != filters.Rcpt {
			st.accepted = ru
		}
		return Decision{}, true
	case filters.Quarantine:
		if lasts && st.quarantine == nil {
			st.quarantine = ru
		}
		return Decision{}, false
	case filters.Discard:
		if !lasts {
			return Decision{}, true
		}
		st.final = ru // logged at the end of each transaction
		if st == &r.ofSession {
			return Decision{}, true
		}
		return ru.decision, true
	}
	return r.refuse(ru, st), true
}

// refuse tells a refusal now, or holds it until its stage.
func (r *Run) refuse(ru *ruling, st *standing) Decision {
	ru.waits = ru.decision.Action != filters.Hangup && r.early(ru.stage)
	if ru.waits {
		st.held = ru
		return Decision{}
	}
	if ru.stage >= filters.Data && ru.stage <= filters.EOM {
		st.final = ru // told, and logged, at the end of the transaction
		return r.worded(ru)
	}
	if ru.stage.OfSession() {
		st.held = ru // a client that goes on in spite of it hears it again
	}
	return r.tell(ru)
}

// early reports whether a refusal found at that stage waits for a later one. A
// breach may be found at any time: it waits unless nothing does.
func (r *Run) early(stage filters.Stage) bool {
	if stage == filters.Conduct {
		stage = filters.Connect
	}
	return stage < r.chain.options.DelayReject
}

// tell returns what the client is about to hear, and logs it.
func (r *Run) tell(ru *ruling) Decision {
	d := r.worded(ru)
	ru.told = true
	if !ru.answers() {
		r.logRefusal(ru, d.Reply)
	}
	return d
}
