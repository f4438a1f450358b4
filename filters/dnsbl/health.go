package dnsbl

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/mailweir/mailweir/filters"
)

// When a list is set aside, and for how long.
const (
	maxFailures = 5           // look-ups in a row that got no answer
	maxFaults   = 3           // answers in a row that were errors
	canaryLife  = time.Minute // how long the look at what no list has is good for
	firstRetest = time.Minute // doubled at each failure
	lastRetest  = 30 * time.Minute
	alarmEvery  = time.Hour // at most, for each list and cause
)

// family is what a list is asked about. A zone is one list for each, since
// one part of it may fail alone.
type family uint8

const (
	ipv4 family = iota
	ipv6
	names
	families
)

var familyNames = [...]string{"IPv4", "IPv6", "names"}

func (f family) String() string { return familyNames[f] }

// status is how far a list is trusted.
type status uint8

const (
	untested  status = iota
	trusted          // its listings count
	probation        // it is asked, and watched, but its listings do not count yet
	setAside         // it is not asked
)

// list is one family of a zone, with its health.
type list struct {
	*zone
	family family
	*desk
	*health
}

// health is how a list does. It outlives the filter: a reloaded configuration
// with the same list goes on with it.
type health struct {
	*asides
	tending chan struct{} // holds one while somebody's Work tests the list from time to time
	testing chan struct{} // holds one while somebody tests the list
	wake    chan struct{} // tells Work that the list was set aside

	mu       sync.Mutex
	status   status
	cause    string    // of being set aside
	crowd    bool      // it was set aside for its share
	since    time.Time // it has been trusted
	canary   time.Time // of the last look at what no list has
	tended   bool      // Work has tested it
	paused   time.Time // when the pause before Work's next test began
	pause    time.Duration
	failures int // in a row
	faults   int // in a row
	last     incident
	seen     window
	alarmed  map[string]time.Time // by the fault's slug
}

// desk is what the lists of a filter share.
type desk struct {
	resolver filters.Resolver
	fresh    filters.Resolver
	log      *slog.Logger
	now      func() time.Time
	limit    time.Duration // of a session's look-ups
	maxShare float64
	interval time.Duration // of self-tests, 0 for none
	answers  filters.Counter
}

// newList returns a list with its health, which the host may have kept.
func newList(env filters.Env, z *zone, f family, d *desk) *list {
	l := &list{zone: z, family: f, desk: d}
	named := env.Keep("dnsbl name "+z.shown, func() any { return newAsides(env, z.shown) }).(*asides)
	l.health = env.Keep(l.identity(), func() any { return newHealth(z, named) }).(*health)
	return l
}

func newHealth(z *zone, named *asides) *health {
	h := &health{
		asides:  named,
		tending: make(chan struct{}, 1),
		testing: make(chan struct{}, 1),
		wake:    make(chan struct{}, 1),
	}
	if !z.selfTest {
		h.status = trusted
	}
	return h
}

// identity returns all that the health depends on. It may hold a key, and is
// not to be shown.
func (l *list) identity() string {
	id := fmt.Sprintf("dnsbl list %q %q %s %t %t %q %t %g %s", l.name, l.shown, l.family,
		l.selfTest, l.untried, l.test, l.one, l.maxShare, l.interval)
	for _, r := range l.rules {
		id += fmt.Sprintf(" +%s", r.text)
	}
	for _, r := range l.refusals {
		id += fmt.Sprintf(" -%s %t", r.text, r.ours)
	}
	return id
}

// Close is called when no configuration has the list any more.
func (h *health) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.status == setAside || h.status == probation {
		h.status = untested
		h.asides.add(-1)
	}
	return nil
}

// isAside returns whether the list may not be asked, and why.
func (l *list) isAside() (cause string, aside bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cause, l.status == setAside
}

// vouched reports whether a listing counts, as far as that is known. If it is
// not, trust finds out.
func (l *list) vouched() (ok, known bool, why string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.status == setAside:
		return false, true, "set aside: " + l.cause
	case l.status == probation:
		return false, true, "on probation: " + l.cause
	case l.status == untested:
		return false, false, "not tested yet"
	case !l.selfTest:
		return true, true, ""
	}
	age := l.now().Sub(l.canary)
	return true, 0 <= age && age < canaryLife, "not tested within the last minute"
}

// noteAnswer takes note of a listing, or of none.
func (l *list) noteAnswer(subject uint64, listed, cached bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !cached {
		l.failures, l.faults = 0, 0
	}
	if l.maxShare == 0 || l.status == setAside {
		return
	}
	l.seen.note(subject, listed)
	share, enough := l.seen.share()
	switch {
	case !enough:
	case share > l.maxShare:
		l.leave(fmt.Sprintf("it has %.0f%% of the last %d clients", 100*share, len(l.seen.ring)))
		l.crowd = true
	case l.status == probation:
		l.come()
	}
}

// incident is the last look-up that went wrong.
type incident struct {
	subject uint64
	at      time.Time
}

// again reports whether the last incident is of the same subject, and so
// recent that it may be of the same question: a client comes by several
// connections at once, or wants to have a list set aside.
func (l *list) again(subject uint64) bool {
	now := l.now()
	if subject != self && subject == l.last.subject && now.Sub(l.last.at) < l.limit {
		return true
	}
	l.last = incident{subject, now}
	return false
}

// noteFailure takes note of a look-up without an answer.
func (l *list) noteFailure(subject uint64, what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.again(subject) {
		return
	}
	if l.failures++; l.failures >= maxFailures && l.status != setAside {
		l.leave(fmt.Sprintf("%d look-ups in a row failed: %s", l.failures, what))
	}
}

// noteFault takes note of an answer that is an error, and raises the alarm.
func (l *list) noteFault(subject uint64, f *fault, cached bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.alarm(f)
	if cached || f.ours || l.again(subject) {
		return
	}
	if l.faults++; l.faults >= maxFaults && l.status != setAside {
		l.leave(fmt.Sprintf("%d errors in a row in place of answers: %s", l.faults, f.text))
	}
}

// alarm logs a fault, at most once an hour.
func (l *list) alarm(f *fault) {
	now := l.now()
	if last, ok := l.alarmed[f.slug]; ok && now.Sub(last) < alarmEvery {
		return
	}
	if l.alarmed == nil {
		l.alarmed = map[string]time.Time{}
	}
	l.alarmed[f.slug] = now
	l.record(slog.LevelWarn, "a DNSBL answers with an error; it does not count", f.text)
}

// leave sets the list aside, and says so.
func (l *list) leave(cause string) {
	if l.status == trusted && l.now().Sub(l.since) >= l.longest() {
		l.pause = 0 // what was before is forgotten
	}
	l.lengthen()
	l.paused = l.now()
	if l.status != probation {
		l.asides.add(1)
	}
	l.status, l.cause, l.crowd = setAside, cause, false
	l.failures, l.faults = 0, 0
	l.record(slog.LevelWarn, "a DNSBL is set aside; it is not asked until it passes its test", cause)
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// come takes the list back, and says so.
func (l *list) come() {
	l.status, l.cause, l.since = trusted, "", l.now()
	l.asides.add(-1)
	l.record(slog.LevelInfo, "a DNSBL is back", "")
}

func (l *list) longest() time.Duration {
	if l.interval == 0 {
		return lastRetest
	}
	return l.interval
}

func (l *list) lengthen() { l.pause = min(max(2*l.pause, firstRetest), l.longest()) }

func (l *list) record(level slog.Level, msg, cause string) {
	attrs := []slog.Attr{slog.String("zone", l.shown), slog.String("about", l.family.String())}
	if cause != "" {
		attrs = append(attrs, slog.String("cause", cause))
	}
	l.log.LogAttrs(context.Background(), level, msg, attrs...)
}

// asides counts the lists of one name that are set aside, for the gauge.
type asides struct {
	shown string
	gauge filters.Gauge
	mu    sync.Mutex
	n     int
}

func newAsides(env filters.Env, shown string) *asides {
	a := &asides{shown: shown}
	a.gauge = env.Gauge("mailweir_dnsbl_zone_set_aside", "Whether a DNS list, or a part of it, is set aside.", "zone")
	a.gauge.Set(0, shown)
	return a
}

func (a *asides) add(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.n += n
	a.gauge.Set(float64(min(a.n, 1)), a.shown)
}
