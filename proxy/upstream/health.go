package upstream

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"
)

// watch starts the checks of the servers if the latest group wants them, and
// ends them if there is no group left. The fleet's mutex is held.
func (p *pool) watch() {
	g := p.latest()
	switch {
	case g == nil && p.stop != nil:
		p.stop()
		p.stop = nil
	case g != nil && p.stop == nil && g.checked():
		ctx, stop := context.WithCancel(p.fleet.life)
		if p.fleet.start(func() { p.checkAll(ctx) }) {
			p.stop = stop
			return
		}
		stop()
	}
	p.nudge()
}

// nudge has the checks look at what has changed.
func (p *pool) nudge() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// checkAll checks servers when they are due, until ctx ends.
func (p *pool) checkAll(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-p.wake:
		}
		timer.Reset(p.checkDue(ctx))
	}
}

// asleep is how long the checks sleep when there is nothing to do: they are
// woken when there is.
const asleep = time.Hour

// checkDue starts the checks that are due, and returns when to look again.
func (p *pool) checkDue(ctx context.Context) time.Duration {
	f := p.fleet
	f.mu.Lock()
	g := p.latest()
	f.mu.Unlock()
	if g == nil || !g.checked() {
		return asleep
	}
	bounded, cancel := context.WithTimeout(ctx, g.Health.Timeout)
	defer cancel()
	targets, err := g.targets(bounded)
	if err != nil {
		return jitter(g.Health.Interval)
	}
	defer g.letGo(targets)
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	next := g.Health.Interval
	for _, t := range targets {
		sv := t.server
		if wait := sv.due(g, now); wait > 0 {
			next = min(next, wait)
			continue
		}
		if sv.beginCheck() && !f.start(func() { sv.check(ctx, g) }) {
			sv.endCheck()
		}
	}
	return next
}

// due returns how long it is until a server is to be checked; at most 0 for now.
func (sv *server) due(g *Group, now time.Time) time.Duration {
	switch {
	case sv.trying:
		return asleep // its end wakes us
	case sv.out:
		return sv.until.Sub(now)
	case sv.checkAt.IsZero():
		sv.checkAt = now.Add(time.Duration(rand.Float64() * float64(g.Health.Interval)))
	case !now.Before(sv.checkAt) && sv.held() > 0 && !sv.suspect:
		sv.checkAt = now.Add(jitter(g.Health.Interval)) // the sessions that it has show how it is
	}
	return sv.checkAt.Sub(now)
}

// beginCheck takes what a check needs. It reports false if the server is full.
func (sv *server) beginCheck() bool {
	if !sv.slots.tryTake() {
		sv.checkAt = time.Now().Add(suspicion)
		return false
	}
	sv.trying, sv.suspect = true, false
	sv.ours++
	sv.pins++
	return true
}

func (sv *server) endCheck() {
	sv.slots.release()
	sv.ours--
	sv.unpin()
}

// check looks at a server, as a session of our own would, and takes note.
func (sv *server) check(ctx context.Context, g *Group) {
	f := sv.pool.fleet
	err := g.try(ctx, sv)
	verdict := succeeded
	switch {
	case ctx.Err() != nil:
		verdict = undecided
	case err != nil:
		verdict = failed
	}
	f.mu.Lock()
	sv.endCheck()
	f.mu.Unlock()
	sv.settle(g, verdict, err, true)
}

// try opens a connection to a server for a check, and ends it.
func (g *Group) try(ctx context.Context, sv *server) (err error) {
	defer func() {
		if p := recover(); p != nil {
			g.fleet.log.Error("panic in a check of an upstream server", "upstream", g.Name, "server", sv.name,
				"error", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	d := g.Health.Timeout
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	o := &opening{Group: g, ctx: ctx, left: d, timeouts: &Timeouts{
		Connect: d, Handshake: d, Greeting: d, Mail: d, Rcpt: d, Data: d, Block: d, EndOfData: d, Other: d,
	}}
	c, err := o.once(sv, 1, false)
	if err != nil && o.plainAgain(err) {
		c, err = o.once(sv, 1, true)
	}
	if err == nil {
		c.unbind()
		c.Close()
	}
	return err
}
