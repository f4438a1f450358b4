package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"time"
)

// attemptDelay is how long an attempt to connect has before that to the next
// address starts beside it (RFC 8305 section 5).
const attemptDelay = 250 * time.Millisecond

// dial connects to a server, of so many that are left, from the client's
// address if from is valid.
func (o *opening) dial(sv *server, left int, from netip.Addr) (conn net.Conn, err error) {
	o.spend(o.share(left), func(ctx context.Context) {
		if sv.path != "" {
			conn, err = o.fleet.Dial(ctx, "unix", sv.path)
			return
		}
		var list []netip.Addr
		if list, err = sv.addresses(ctx); err != nil {
			return
		}
		conn, err = o.fleet.dialAny(ctx, sv, list, from)
	})
	return conn, err
}

// dialAny connects to whichever address of a server answers first.
func (f *Fleet) dialAny(ctx context.Context, sv *server, list []netip.Addr, from netip.Addr) (net.Conn, error) {
	one := func(ctx context.Context, a netip.Addr) (net.Conn, error) {
		return f.Dial(ctx, "tcp", netip.AddrPortFrom(a, sv.port).String())
	}
	if from.IsValid() {
		list = slices.DeleteFunc(slices.Clone(list), func(a netip.Addr) bool { return a.Is4() != from.Is4() })
		if len(list) == 0 {
			return nil, &ownFault{fmt.Errorf("it has no address of the family of the client's %s, from which it is to be connected to: identity transparent", from)}
		}
		one = func(ctx context.Context, a netip.Addr) (net.Conn, error) {
			conn, err := f.dialFrom(ctx, from, "tcp", netip.AddrPortFrom(a, sv.port).String())
			return conn, explain(err)
		}
	}
	if len(list) == 1 {
		return one(ctx, list[0])
	}
	return race(ctx, list, one)
}

// dialed is how an attempt to connect has ended.
type dialed struct {
	conn net.Conn
	err  error
}

// race makes attempts in order, each after the one before has failed or has
// taken attemptDelay, and returns the connection that is there first (RFC 8305
// section 5). Others are closed.
func race(ctx context.Context, list []netip.Addr, one func(context.Context, netip.Addr) (net.Conn, error)) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan dialed, len(list)) // so that none waits for us
	running := 0
	var errs failures
	timer := time.NewTimer(0)
	defer timer.Stop()
	for next := 0; ; {
		select {
		case r := <-results:
			running--
			if r.err == nil {
				go drop(results, running)
				return r.conn, nil
			}
			errs = append(errs, r.err)
			if running == 0 && next == len(list) {
				return nil, errs.about("none of its addresses answers")
			}
			timer.Reset(0)
		case <-timer.C:
			if next < len(list) {
				go func(a netip.Addr) {
					conn, err := one(ctx, a)
					results <- dialed{conn, err}
				}(list[next])
				next++
				running++
				timer.Reset(attemptDelay)
			}
		case <-ctx.Done():
			go drop(results, running)
			return nil, append(errs, ctx.Err()).about("none of its addresses answers")
		}
	}
}

// drop closes the connections of attempts that are still running.
func drop(results <-chan dialed, running int) {
	for range running {
		if r := <-results; r.err == nil {
			r.conn.Close()
		}
	}
}

// ownFault is a failure that says nothing about the server.
type ownFault struct{ error }

func (e *ownFault) Unwrap() error { return e.error }

// explain says what to do when a connection from a client's address fails.
func explain(err error) error {
	switch {
	case errors.Is(err, errTransparent):
		return &ownFault{fmt.Errorf("%w: identity transparent takes the right to use addresses of others: give CAP_NET_ADMIN (AmbientCapabilities= in the unit)", err)}
	case errors.Is(err, syscall.EADDRNOTAVAIL), errors.Is(err, errors.ErrUnsupported):
		return &ownFault{err}
	case isTimeout(err):
		return fmt.Errorf("%w: does it answer to the client's address by way of this machine? See docs/identity.md on identity transparent", err)
	}
	return err
}

// errTransparent is why the system does not let us use the address of a client.
var errTransparent = errors.New("cannot connect from the client's address")

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &t) && t.Timeout()
}
