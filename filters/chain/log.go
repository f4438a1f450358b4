package chain

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/mailweir/mailweir/filters"
)

// The records of the operator's log, by their message. Each refusal and each
// transaction has one of its own.
const (
	msgRefused     = "refused"            // a filter or the upstream refused a command or a message
	msgWould       = "would have refused" // a refusal of an entry with action: ignore
	msgIgnored     = "ignored"            // any other finding of such an entry
	msgUnmade      = "would have edited"  // edits of such an entry
	msgAccepted    = "accepted"           // the upstream acknowledged the message
	msgDiscarded   = "discarded"          // acknowledged and dropped, as a filter said
	msgQuarantined = "quarantined"        // acknowledged and set aside, as a filter said
	msgAborted     = "aborted"            // a transaction that ended without a message
	msgFailed      = "filter failed"      // settled by the entry's on_error
)

// Result is how a transaction ended, as the front end saw it.
type Result struct {
	Reply    filters.Reply // what the client was told; zero when nothing could be told
	Upstream string        // the upstream's reply, "" for none
	Filter   string        // which check of the front end's own refused, "" for none
	Reason   string        // why there was no delivery, if no filter refused: "reset", "client_lost", "upstream_lost" ...
}

// Done ends the transaction and logs it. Without one it does nothing.
func (r *Run) Done(res Result) {
	if !r.inTx {
		return
	}
	defer r.end()
	r.forget(&r.ofTx)
	ru := r.ofTx.final
	acknowledged := res.Reply.Code/100 == 2 && res.Reason == ""
	switch {
	case ru != nil && ru.decision.Refuses():
		r.close(msgRefused, ru, ru.decision.Action.String(), res)
	case acknowledged && r.ofTx.discards():
		r.close(msgDiscarded, ru, filters.Discard.String(), res)
	case acknowledged && ru != nil:
		r.close(msgQuarantined, ru, filters.Quarantine.String(), res)
	case acknowledged:
		r.close(msgAccepted, nil, filters.Accept.String(), res)
	case res.Filter != "":
		ru := refusalOf(res.Filter, res.Reason, r.contentStage(), res.Reply)
		r.countRuling(ru, false)
		r.close(msgRefused, ru, ru.decision.Action.String(), res)
	case res.Upstream != "" && res.Reply.Code >= 400:
		ru := refusalOf("upstream", "upstream", r.contentStage(), res.Reply)
		r.countRuling(ru, false)
		r.close(msgRefused, ru, ru.decision.Action.String(), res)
	case len(r.tx.Rcpts) == 0 && r.refused:
		r.countEnd(msgRefused) // each of its refusals has been logged
	default:
		r.close(msgAborted, nil, "abort", res)
	}
}

// close logs and counts the end of a transaction; ru may be nil.
func (r *Run) close(outcome string, ru *ruling, action string, res Result) {
	r.log(outcome, slog.LevelInfo, r.transaction(ru, action, res))
	r.countEnd(outcome)
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
	r.logRefusal(ru, reply, slog.String("upstream_reply", reply.String()))
	r.asking = nil
	r.countRuling(ru, false)
	if to == nil {
		r.countEnd(msgRefused)
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

// contentStage is where the upstream refused the content: at DATA, unless some
// of it has been seen.
func (r *Run) contentStage() filters.Stage {
	if r.tx.Size == 0 {
		return filters.Data
	}
	return filters.EOM
}

func (r *Run) logRefusal(ru *ruling, reply filters.Reply, more ...slog.Attr) {
	if ru.stage != filters.Command {
		r.refused = true
	}
	attrs := r.ruled(ru, reply, ru.decision.Action.String())
	r.log(msgRefused, slog.LevelInfo, append(attrs, more...))
}

func (r *Run) logIgnored(ru *ruling) {
	msg := msgIgnored
	if ru.decision.Refuses() && !ru.answers() {
		msg = msgWould
	}
	attrs := r.ruled(ru, r.worded(ru).Reply, Ignore.String())
	attrs = append(attrs, slog.String("would", ru.decision.Action.String()))
	r.log(msg, slog.LevelInfo, attrs)
}

func (r *Run) logUnmade(e *entry, edits []filters.Edit) {
	words := make([]string, len(edits))
	for i, edit := range edits {
		words[i] = fmt.Sprintf("%T%+v", edit, edit)
	}
	r.log(msgUnmade, slog.LevelInfo, append(r.who(),
		slog.String("filter", e.Name),
		slog.String("action", Ignore.String()),
		slog.Any("edits", words)))
}

func (r *Run) logFailure(e *entry, stage filters.Stage, err error) {
	r.log(msgFailed, slog.LevelWarn, append(r.who(),
		slog.String("stage", stage.String()),
		slog.String("filter", e.Name),
		slog.String("on_error", e.OnError.String()),
		slog.Any("error", err)))
}

// log writes a record of attrs, which are who's, and takes them back.
func (r *Run) log(msg string, level slog.Level, attrs []slog.Attr) {
	ctx, h := context.WithoutCancel(r.ctx), r.chain.log.Handler()
	if h.Enabled(ctx, level) {
		record := slog.NewRecord(time.Now(), level, msg, 0) // nobody asks where in the program
		record.AddAttrs(attrs...)
		h.Handle(ctx, record)
	}
	clear(attrs)
	if cap(attrs) == maxAttrs {
		spare.Put((*[maxAttrs]slog.Attr)(attrs[:maxAttrs]))
	}
}

// spare are attributes of records that were written.
var spare = sync.Pool{New: func() any { return new([maxAttrs]slog.Attr) }}

// maxAttrs is how many a record has room for at first.
const maxAttrs = 24

// who names session, client, sender and recipients, as far as they are known.
func (r *Run) who() []slog.Attr {
	s := r.session
	attrs := append(spare.Get().(*[maxAttrs]slog.Attr)[:0],
		slog.String("id", r.id()),
		slog.String("listener", s.Listener),
		slog.String("client", s.Client.String()))
	if s.Via.IsValid() {
		attrs = append(attrs, slog.String("via", s.Via.String()))
	}
	if s.Helo != "" {
		attrs = append(attrs, slog.String("helo", s.Helo))
	}
	if s.TLS.Version != "" {
		attrs = append(attrs, slog.String("tls", s.TLS.Version))
	}
	if s.AuthUser != "" {
		attrs = append(attrs, slog.String("user", s.AuthUser))
	}
	if !r.inTx {
		return attrs
	}
	if r.tx.QueueID != "" {
		attrs = append(attrs, slog.String("queue_id", r.tx.QueueID))
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

// by names what was settled and by whom.
func (ru *ruling) by(attrs []slog.Attr) []slog.Attr {
	attrs = append(attrs,
		slog.String("stage", ru.stage.String()),
		slog.String("filter", ru.entry.Name),
		slog.String("reason", ru.reason))
	if ru.err != nil {
		attrs = append(attrs, slog.Any("error", ru.err))
	}
	return attrs
}

// ruled adds to who what was settled, and the reply to it.
func (r *Run) ruled(ru *ruling, reply filters.Reply, action string) []slog.Attr {
	attrs := append(ru.by(r.who()), slog.String("action", action))
	if reply.Code != 0 {
		attrs = append(attrs, slog.String("reply", reply.String()))
	}
	return attrs
}

// transaction is the record of a whole transaction; ru may be nil.
func (r *Run) transaction(ru *ruling, action string, res Result) []slog.Attr {
	attrs := r.who()
	if ru != nil {
		attrs = ru.by(attrs)
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
