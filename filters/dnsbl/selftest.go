package dnsbl

import (
	"context"
	"time"
)

// self stands for the subjects of self-tests.
const self = 0

// testLimit is how long a self-test outside of a session may take.
const testLimit = 10 * time.Second

// lock makes the caller the only one who tests the list. It fails when ctx
// ends before.
func (l *list) lock(ctx context.Context) bool {
	select {
	case l.testing <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (l *list) unlock() { <-l.testing }

// trust reports whether a listing counts, and else why not. If need be it
// tests the list first, or waits for whoever does.
func (l *list) trust(ctx context.Context) (ok bool, why string) {
	if ok, known, why := l.vouched(); known {
		return ok, why
	}
	if !l.lock(ctx) {
		_, _, why := l.vouched()
		return false, why
	}
	defer l.unlock()
	if ok, known, why := l.vouched(); known { // thanks to whoever was before us
		return ok, why
	}
	if l.isUntested() {
		l.first(ctx)
	} else {
		l.look(ctx)
	}
	ok, known, why := l.vouched()
	return ok && known, why
}

func (l *list) isUntested() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.status == untested
}

// first tests a list that nobody has tested yet. Silence tells nothing about it
// if there was little time to wait.
func (l *list) first(ctx context.Context) {
	cause, silent := verdict(l.run(ctx, l.probes()))
	switch {
	case !silent || ctx.Err() == nil:
		l.tested(cause)
	case !abandoned(ctx):
		l.noteFailure(self, "the name servers are silent")
	}
}

// look asks for what no list has.
func (l *list) look(ctx context.Context) {
	results := l.run(ctx, []probe{l.canaryProbe(), l.strangerProbe()})
	for _, r := range results {
		if r.wrong != nil {
			l.noteFault(self, r.wrong, false)
			return
		}
	}
	switch cause, silent := verdict(results); {
	case cause == "":
		l.mu.Lock()
		l.canary = l.now()
		l.mu.Unlock()
	case !silent:
		l.tested(cause)
	case !abandoned(ctx):
		l.noteFailure(self, cause)
	}
}

// tested takes note of the result of a self-test, "" if it was passed.
func (l *list) tested(cause string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case cause != "" && l.status == setAside:
		l.cause = cause
		l.lengthen()
	case cause != "":
		l.leave(cause)
	default:
		l.canary, l.failures, l.faults = l.now(), 0, 0
		l.passed()
	}
}

// passed moves the list up by one status.
func (l *list) passed() {
	switch {
	case l.status == untested:
		l.status, l.since = trusted, l.now()
	case l.status == setAside && l.crowd:
		l.status = probation
		l.seen.clear()
	case l.status == setAside:
		l.seen.clear()
		l.come()
	}
}

// tend tests the list again and again, until ctx ends. It waits while others
// do: another entry, or the configuration before this one.
func (l *list) tend(ctx context.Context) {
	select {
	case l.tending <- struct{}{}:
		defer func() { <-l.tending }()
	case <-ctx.Done():
		return
	}
	test := l.selfTest && !l.wasTended()
	for {
		if test {
			l.retest(ctx)
		}
		if !l.rest(ctx) {
			return
		}
		test = true
	}
}

// retest tests the list.
func (l *list) retest(ctx context.Context) {
	if !l.lock(ctx) {
		return
	}
	defer l.unlock()
	test, cancel := context.WithTimeout(ctx, testLimit)
	defer cancel()
	if cause, _ := verdict(l.run(test, l.probes())); ctx.Err() == nil {
		l.tested(cause)
		l.mu.Lock()
		l.tended, l.paused = true, l.now()
		l.mu.Unlock()
	}
}

func (l *list) wasTended() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tended
}

// rest waits until the list is to be tested again. It reports false when ctx
// ends first.
func (l *list) rest(ctx context.Context) bool {
	for {
		var due <-chan time.Time
		if pause, ok := l.untilTest(); ok {
			timer := time.NewTimer(pause)
			defer timer.Stop()
			due = timer.C
		}
		select {
		case <-due:
			return true
		case <-l.wake: // it was set aside: look at the clock again
		case <-ctx.Done():
			return false
		}
	}
}

func (l *list) untilTest() (time.Duration, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	gone := max(0, l.now().Sub(l.paused))
	if l.status == setAside {
		return l.pause - gone, true
	}
	return l.interval - gone, l.selfTest && l.interval > 0
}
