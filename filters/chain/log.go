package chain

import (
	"context"
	"log/slog"
	"time"

	"github.com/mailweir/mailweir/filters"
)

// The records of the operator's log, by their message. Each refusal and each
// transaction has one of its own.
const (
	msgRefused   = "refused"            // a filter or the upstream refused a command or a message
	msgIgnored   = "would have refused" // a finding of an entry with action: ignore
	msgAccepted  = "accepted"           // the upstream acknowledged the message
	msgDiscarded = "discarded"          // acknowledged and dropped, as a filter said
	msgAborted   = "aborted"            // a transaction that ended without a message
	msgFailed    = "filter failed"      // settled by the entry's on_error
)

// Result is how a transaction ended, as the front end saw it.
type Result struct {
	Reply    filters.Reply // what the client was told; zero when nothing could be told
	Upstream string        // the upstream's reply, "" for none
	Filter   string        // which check of the front end's own refused, "" for none
	Reason   string        // why there was no delivery, if no filter refused: "reset", "client_lost", "upstream_lost" ...
}

// Done ends the transaction and logs it.
func (r *Run) Done(res Result) {
	defer r.end()
	ru := r.ofTx.final
	switch {
	case ru != nil && ru.decision.Action == filters.Discard && res.Reply.Code/100 == 2:
		r.log(msgDiscarded, slog.LevelInfo, r.transaction(ru, filters.Discard.String(), res))
	case ru != nil && ru.decision.Refuses():
		r.log(msgRefused, slog.LevelInfo, r.transaction(ru, ru.decision.Action.String(), res))
	case res.Reply.Code/100 == 2:
		r.log(msgAccepted, slog.LevelInfo, r.transaction(nil, filters.Accept.String(), res))
	case res.Filter != "":
		ru := refusalOf(res.Filter, res.Reason, filters.EOM, res.Reply)
		r.log(msgRefused, slog.LevelInfo, r.transaction(ru, ru.decision.Action.String(), res))
	case res.Upstream != "" && res.Reply.Code >= 400:
		ru := refusalOf("upstream", "upstream", filters.EOM, res.Reply)
		r.log(msgRefused, slog.LevelInfo, r.transaction(ru, ru.decision.Action.String(), res))
	case len(r.tx.Rcpts) == 0 && r.refused:
		// Each of its refusals has been logged.
	default:
		r.log(msgAborted, slog.LevelInfo, r.transaction(nil, "abort", res))
	}
}

// Refused takes back a recipient, or with to == nil the sender, whom the
// upstream refused, and logs that.
func (r *Run) Refused(to *filters.Path, reply filters.Reply) {
	stage := filters.Mail
	if to != nil {
		stage = filters.Rcpt
		for i, p := range r.tx.Rcpts {
			if p == to {
				r.tx.Rcpts = append(r.tx.Rcpts[:i], r.tx.Rcpts[i+1:]...)
				break
			}
		}
	}
	r.asking = to
	ru := refusalOf("upstream", "upstream", stage, reply)
	r.logRefusal(ru, []slog.Attr{slog.String("upstream_reply", reply.String())})
	r.asking = nil
	if to == nil {
		r.end()
	}
}

// refusalOf is a refusal that no filter of the chain gave.
func refusalOf(who, reason string, stage filters.Stage, reply filters.Reply) *ruling {
	action := filters.Reject
	switch {
	case reply.Code == closing.Code || reply.Code == dropCode:
		action = filters.Hangup
	case reply.Temporary():
		action = filters.TempFail
	}
	return &ruling{
		entry:    &entry{Spec: Spec{Name: who}},
		stage:    stage,
		reason:   reason,
		decision: Decision{Action: action, Reply: reply},
	}
}

func (r *Run) logRefusal(ru *ruling, more []slog.Attr) {
	r.refused = true
	attrs := r.ruled(ru, ru.decision.Action.String())
	r.log(msgRefused, slog.LevelInfo, append(attrs, more...))
}

func (r *Run) logIgnored(ru *ruling) {
	attrs := r.ruled(ru, Ignore.String())
	attrs = append(attrs, slog.String("would", ru.decision.Action.String()))
	r.log(msgIgnored, slog.LevelInfo, attrs)
}

func (r *Run) logFailure(e *entry, stage filters.Stage, err error) {
	r.log(msgFailed, slog.LevelWarn, append(r.who(),
		slog.String("stage", stage.String()),
		slog.String("filter", e.Name),
		slog.String("on_error", e.OnError.String()),
		slog.String("error", err.Error())))
}

func (r *Run) log(msg string, level slog.Level, attrs []slog.Attr) {
	r.chain.log.LogAttrs(context.WithoutCancel(r.ctx), level, msg, attrs...)
}

// who names session, client, sender and recipients, as far as they are known.
func (r *Run) who() []slog.Attr {
	s := r.session
	attrs := make([]slog.Attr, 0, 16)
	attrs = append(attrs,
		slog.String("id", r.id()),
		slog.String("listener", s.Listener),
		slog.String("client", s.Client.String()))
	if s.Helo != "" {
		attrs = append(attrs, slog.String("helo", s.Helo))
	}
	if !r.inTx {
		return attrs
	}
	attrs = append(attrs, slog.String("from", r.tx.From.String()))
	if r.asking != nil {
		return append(attrs, slog.Any("to", []string{r.asking.String()}))
	}
	to := make([]string, len(r.tx.Rcpts))
	for i, p := range r.tx.Rcpts {
		to[i] = p.String()
	}
	return append(attrs, slog.Any("to", to))
}

// ruled adds to who what was settled and by whom.
func (r *Run) ruled(ru *ruling, action string) []slog.Attr {
	return append(r.who(),
		slog.String("stage", ru.stage.String()),
		slog.String("filter", ru.entry.Name),
		slog.String("reason", ru.reason),
		slog.String("action", action),
		slog.String("reply", ru.decision.Reply.String()))
}

// transaction is the record of a whole transaction; ru may be nil.
func (r *Run) transaction(ru *ruling, action string, res Result) []slog.Attr {
	attrs := r.who()
	if ru != nil {
		attrs = append(attrs,
			slog.String("stage", ru.stage.String()),
			slog.String("filter", ru.entry.Name),
			slog.String("reason", ru.reason))
	} else if res.Reason != "" {
		attrs = append(attrs, slog.String("reason", res.Reason))
	}
	attrs = append(attrs, slog.String("action", action))
	if res.Reply.Code != 0 {
		attrs = append(attrs, slog.String("reply", res.Reply.String()))
	}
	if res.Upstream != "" {
		attrs = append(attrs, slog.String("upstream_reply", res.Upstream))
	}
	seconds := r.chain.now().Sub(r.began).Round(time.Millisecond / 10).Seconds()
	return append(attrs,
		slog.Int64("octets", r.tx.Size),
		slog.Float64("seconds", seconds))
}
