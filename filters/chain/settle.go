package chain

import (
	"errors"

	"github.com/mailweir/mailweir/filters"
)

// ruling is a settled finding, with what the log wants to know of it.
type ruling struct {
	entry    *entry
	stage    filters.Stage
	reason   string
	decision Decision
	told     bool // the client has heard it, or will at once
}

// standing answers for a stage from what was settled before, if it can.
func (r *Run) standing(stage filters.Stage) (Decision, bool) {
	h := r.ofSession.held
	if h == nil && r.inTx {
		h = r.ofTx.held
	}
	switch {
	case h != nil && stage < r.chain.options.DelayReject:
		return Decision{}, true
	case h != nil:
		h.told = true
		r.logRefusal(h, nil)
		return h.decision, true
	case r.inTx && r.ofTx.final != nil:
		return r.ofTx.final.decision, true
	case r.ofSession.discard && stage >= filters.Mail && stage <= filters.EOM:
		return Decision{Action: filters.Discard, Reply: discarded}, true
	}
	return Decision{}, r.ofSession.accepted || r.inTx && r.ofTx.accepted
}

// settle turns a filter's verdict into the chain's decision, and reports
// whether it ends the stage.
func (r *Run) settle(e *entry, stage filters.Stage, v filters.Verdict) (Decision, bool) {
	if v.Finding == nil {
		v.Finding = &filters.Finding{}
	}
	if v.Action == filters.Quarantine && e.Kind.Needs&filters.DoQuarantine == 0 {
		v = filters.Failed(errors.New("verdict quarantine, but its kind does not declare the need"))
	}
	if v.Finding.Err != nil {
		r.logFailure(e, stage, v.Finding.Err)
	}
	if v.Action == filters.Continue {
		if v.Finding.Err == nil || e.OnError == ErrorContinue {
			return Decision{}, false
		}
		v.Action = filters.TempFail
		if e.OnError == ErrorReject {
			v.Action = filters.Reject
		}
	}
	ru := &ruling{entry: e, stage: stage, reason: v.Finding.Reason}
	if ru.reason == "" {
		ru.reason = v.Action.String()
	}
	action := v.Action
	if e.Action == Drop && (action == filters.Reject || action == filters.TempFail) {
		action = filters.Hangup
	}
	ru.decision = Decision{action, r.wording(stage, action, v)}
	if e.Action == Ignore {
		r.logIgnored(ru)
		return Decision{}, false
	}
	return r.rule(ru)
}

// rule makes a ruling stand for as long as its stage says.
func (r *Run) rule(ru *ruling) (Decision, bool) {
	st := &r.ofTx
	if ru.stage <= filters.Helo {
		st = &r.ofSession
	}
	switch ru.decision.Action {
	case filters.Accept:
		if ru.stage != filters.Rcpt && ru.stage != filters.Command {
			st.accepted = true
		}
		return Decision{}, true
	case filters.Discard:
		if ru.stage == filters.Command {
			return Decision{}, true
		}
		st.discard, st.final = true, ru
		if st == &r.ofSession {
			r.logRefusal(ru, nil)
			st.final = nil
			return Decision{}, true
		}
		return ru.decision, true
	case filters.Reject, filters.TempFail:
		if ru.stage < r.chain.options.DelayReject {
			st.held = ru
			return Decision{}, true
		}
	}
	if ru.stage >= filters.Data && ru.stage <= filters.EOM {
		st.final = ru // told, and logged, at the end of the transaction
		return ru.decision, true
	}
	r.logRefusal(ru, nil)
	return ru.decision, true
}
