package dnsbl

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime/debug"
	"time"

	"github.com/mailweir/mailweir/filters"
)

// State is what came of asking a list.
type State string

// The states.
const (
	Listed  State = "listed"
	Clean   State = "clean"   // not listed, or by answers that do not count here
	Faulty  State = "error"   // an answer that is an error, or a listing of a list that cannot be trusted now
	Failure State = "failed"  // no answer
	Silence State = "timeout" // no answer in time
	Skipped State = "skipped" // the list is set aside
)

// result is what came of asking a list about a subject.
type result struct {
	done    bool
	state   State
	addrs   []netip.Addr
	mask    uint64 // of the rules that count
	cause   string // why it does not count
	text    string // the list's own words
	took    time.Duration
	cached  bool
	unasked bool // for the resolver is busy: that is not the list's fault
}

// known answers from the resolver's memory. The result is not done when it has
// nothing, or the list must be tested first.
func (l *list) known(s subject) result {
	if cause, aside := l.isAside(); aside {
		return l.count(result{done: true, state: Skipped, cause: "set aside: " + cause})
	}
	q := filters.Question{Name: s.labels + "." + l.name, Type: filters.TypeA}
	a, err, ok := l.resolver.Known(q)
	if !ok {
		return result{}
	}
	r, wrong := l.read(a, err)
	r.done, r.cached = true, true
	if r.state == Listed {
		ok, known, why := l.vouched()
		if !known || l.reply.has("text") && !l.knownText(q.Name, &r) {
			return result{}
		}
		l.doubt(&r, ok, why)
	}
	l.note(s, r, wrong)
	return l.count(r)
}

func (l *list) knownText(name string, r *result) bool {
	a, err, ok := l.resolver.Known(filters.Question{Name: name, Type: filters.TypeTXT})
	if ok && err == nil {
		r.text = l.words(a)
	}
	return ok
}

// ask asks the list, and whether it may be trusted if it has the subject. A
// panic ends this look-up only.
func (l *list) ask(ctx context.Context, s subject) (r result) {
	defer func() {
		if p := recover(); p != nil {
			l.record(slog.LevelError, "a look-up has ended", fmt.Sprintf("panic: %v\n%s", p, debug.Stack()))
			r = result{state: Failure, cause: "panic"}
		}
	}()
	if cause, aside := l.isAside(); aside {
		return l.count(result{state: Skipped, cause: "set aside: " + cause})
	}
	begin := time.Now()
	q := filters.Question{Name: s.labels + "." + l.name, Type: filters.TypeA}
	a, err := l.resolver.Lookup(ctx, q)
	r, wrong := l.read(a, err)
	r.took = time.Since(begin)
	if abandoned(ctx) {
		return r
	}
	l.note(s, r, wrong)
	if r.state == Listed {
		ok, why := l.trust(ctx)
		l.doubt(&r, ok, why)
	}
	if r.state == Listed && l.reply.has("text") {
		r.text = l.askText(ctx, q.Name)
	}
	return l.count(r)
}

// textLimit is how long the list's own words are waited for at most: the
// listing waits with them.
const textLimit = time.Second

// askText returns the list's own words, "" for none. It leaves time for the
// listing to be counted.
func (l *list) askText(ctx context.Context, name string) string {
	limit := textLimit
	if deadline, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(deadline)/2)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	a, err := l.resolver.Lookup(ctx, filters.Question{Name: name, Type: filters.TypeTXT})
	if err != nil {
		return ""
	}
	return l.words(a)
}

// abandoned reports whether nobody waits any more, although there was time
// left. A session that has waited to the end is over at the same moment.
func abandoned(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return errors.Is(ctx.Err(), context.Canceled) && (!ok || time.Now().Before(deadline))
}

// read makes a result of an answer.
func (l *list) read(a filters.Answer, err error) (r result, wrong *fault) {
	switch {
	case err == nil:
	case filters.NotFound(err):
		return result{state: Clean}, nil
	case errors.Is(err, filters.ErrDNSTimeout), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		// A session that has waited to the end, and is over then, cancels.
		return result{state: Silence, cause: failureText(filters.ErrDNSTimeout)}, nil
	default:
		return result{state: Failure, cause: failureText(err), unasked: errors.Is(err, filters.ErrDNSBusy)}, nil
	}
	mask, wrong := l.judge(a)
	r = result{state: Listed, addrs: a.Addrs, mask: mask, cached: a.Cached}
	switch {
	case wrong != nil:
		r.state, r.cause = Faulty, wrong.text
	case mask == 0:
		r.state, r.cause = Clean, "no answer that counts"
	}
	return r, wrong
}

// doubt takes a listing back that is not to be trusted.
func (l *list) doubt(r *result, ok bool, why string) {
	if !ok {
		r.state, r.mask, r.cause = Faulty, 0, "listed, but the list is "+why
	}
}

// note tells the list's health of a result.
func (l *list) note(s subject, r result, wrong *fault) {
	switch {
	case wrong != nil:
		l.noteFault(s.key, wrong, r.cached)
	case r.state == Listed || r.state == Clean:
		l.noteAnswer(s.key, r.state == Listed, r.cached)
	case !r.cached && !r.unasked:
		l.noteFailure(s.key, r.cause)
	}
}

func (l *list) count(r result) result {
	l.answers.Add(1, l.shown, string(r.state))
	return r
}

// words returns what a list says about a listing, without its key.
func (l *list) words(a filters.Answer) string {
	if len(a.Texts) == 0 {
		return ""
	}
	return printable(l.conceal(printable(a.Texts[0], 10*maxText)), maxText)
}
