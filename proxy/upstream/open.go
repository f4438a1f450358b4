package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/mailweir/mailweir/filters"
)

// Open returns a connection to a server of the group that has greeted us, knows
// who the client is, and waits for the client's HELO, EHLO or LHLO. It is cut
// when ctx ends.
//
// Each server is tried once, until one takes the session. All that it takes to
// be connected, which is to wait for a place too, may last t.Connect in all, a
// little more if that is short for many servers; what comes then, as long as t
// says for each.
//
// The error names each server that was tried. It is ErrBusy when all
// connections are in use, a *RefusedError when a server will not have this
// client, and the error of ctx when that has ended.
func (g *Group) Open(ctx context.Context, s *filters.Session, t *Timeouts) (*Conn, error) {
	o := &opening{Group: g, ctx: ctx, session: s, timeouts: t, left: t.Connect}
	targets, err := o.find()
	if err != nil {
		return nil, err
	}
	defer g.letGo(targets)
	var errs failures
	for rest := slices.Clone(targets); len(rest) > 0 && !o.over; {
		next := g.choose(rest)
		sv := rest[next.index].server
		c, err := o.try(sv, next, len(rest))
		if err == nil {
			return c, nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", sv.name, err))
		rest = slices.Delete(rest, next.index, next.index+1)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return nil, errs.about("no server takes the session")
}

// opening is how a connection is opened: for a session, or, without one, for a
// check.
type opening struct {
	*Group
	ctx      context.Context
	session  *filters.Session // nil for a check
	timeouts *Timeouts
	left     time.Duration // of timeouts.Connect
	over     bool          // no further server is to be tried

	reached bool // there was a connection, of the last attempt
	refused bool // a reply of class 4 or 5 has come on it
}

func (o *opening) find() (list []target, err error) {
	o.spend(o.left, func(ctx context.Context) { list, err = o.targets(ctx) })
	if ended := o.ctx.Err(); err != nil && ended != nil {
		err = ended
	}
	return list, err
}

// try tries one server, of so many that are left.
func (o *opening) try(sv *server, next choice, left int) (*Conn, error) {
	if !next.slot && !o.wait(sv) {
		o.over = true
		result := connectBusy
		if o.ctx.Err() != nil {
			result = connectCanceled
		}
		o.fleet.meters.connect(o.Name, sv.label, result)
		return nil, ErrBusy
	}
	if c := o.reuse(sv); c != nil {
		sv.settle(o.Group, undecided, nil, next.trial)
		return c, nil
	}
	judged := false
	defer func() {
		if !judged { // it has panicked: the session ends, but not the server
			sv.vacate()
			sv.settle(o.Group, undecided, nil, next.trial)
		}
	}()
	c, err := o.connect(sv, left)
	judged = true
	if err != nil {
		sv.vacate()
	}
	o.judge(sv, err, next.trial)
	return c, err
}

// wait waits for a place at a server that is full.
func (o *opening) wait(sv *server) (ok bool) {
	o.spend(o.left, func(ctx context.Context) { ok = sv.slots.take(ctx) })
	return ok
}

// spend gives do some of the time to connect, and counts what it takes.
func (o *opening) spend(d time.Duration, do func(context.Context)) {
	ctx, cancel := context.WithTimeout(o.ctx, d)
	defer cancel()
	start := time.Now()
	do(ctx)
	o.left -= time.Since(start)
}

// leastShare is what a server has at least to be connected to, unless all of
// them have less.
const leastShare = 2 * time.Second

// share returns how long one of the servers that are left may take, so that one
// that is silent does not use up the time of the others.
func (o *opening) share(left int) time.Duration {
	return max(o.left/time.Duration(left), min(leastShare, o.timeouts.Connect))
}

// connect opens a connection to a server, of which a slot is taken. The
// connection has the slot then.
func (o *opening) connect(sv *server, left int) (*Conn, error) {
	began := time.Now()
	c, err := o.once(sv, left, false)
	if err != nil && o.plainAgain(err) {
		c, err = o.once(sv, left, true)
	}
	if err != nil {
		return nil, err
	}
	o.Took(Connect, time.Since(began))
	o.fleet.mu.Lock()
	sv.pins++
	o.fleet.mu.Unlock()
	c.release = c.vacate
	return c, nil
}

// once connects and greets. With plain it does so without TLS.
func (o *opening) once(sv *server, left int, plain bool) (*Conn, error) {
	o.reached, o.refused = false, false
	var from netip.Addr
	if o.Identity == Transparent && o.session != nil {
		from = o.session.Client.Addr().Unmap()
	}
	conn, err := o.dial(sv, left, from)
	if err != nil {
		return nil, err
	}
	o.reached = true
	c := newConn(conn, sv.name, func() {})
	c.host, c.lmtp, c.plain = sv.host, o.LMTP, plain
	c.use = use{group: o.Group, at: sv, born: time.Now(), sessions: 1}
	c.bind(o.ctx, conn)
	if o.session == nil {
		err = o.check(o.ctx, c, o.timeouts)
	} else {
		err = o.greet(o.ctx, c, o.session, o.timeouts)
	}
	if err != nil {
		o.refused = c.errors > 0
		c.unbind()
		c.Close()
		return nil, err
	}
	return c, nil
}

// judge takes note of what an attempt says about the server.
func (o *opening) judge(sv *server, err error, trial bool) {
	result, verdict := connectOK, succeeded
	var refusal *RefusedError
	switch {
	case err == nil:
	case o.ctx.Err() != nil:
		result, verdict, o.over = connectCanceled, undecided, true
	case errors.As(err, new(*ownFault)):
		result, verdict = connectUnreachable, undecided
	case errors.As(err, &refusal):
		result, verdict = connectRefused, undecided
		o.over = refusal.Reply.Code >= 500 // the others have the same policy
	case o.session != nil && o.checked() && o.mayBeClient(err):
		result, verdict = connectRefused, undecided
		sv.doubt(o.Group)
	default:
		result, verdict = connectUnreachable, failed
		if o.reached {
			result = connectRefused
		}
	}
	if o.session != nil {
		o.fleet.meters.connect(o.Name, sv.label, result)
	}
	sv.settle(o.Group, verdict, err, trial)
}

// mayBeClient reports whether a failure may be due to the client, whom the
// server knows: it is refused in words that do not say why, or what is sent to
// its address does not come back here. A client must not be able to take a
// server away from all others: a check is to show whose fault it is.
func (o *opening) mayBeClient(err error) bool {
	switch o.Identity {
	case XCLIENT, PROXY:
		return o.refused
	case Transparent:
		return o.refused || !o.reached && isTimeout(err)
	}
	return false
}
