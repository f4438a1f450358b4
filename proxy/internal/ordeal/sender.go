package ordeal

import (
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A Sender sends messages as MTAs do: what is put off, or gets no answer, it
// sends again; what is refused for good it bounces.
type Sender struct {
	Addr     string // of the relay
	Seed     uint64
	Messages int
	Crowd    int         // sessions at once
	Chunks   bool        // some go by BDAT, if that is offered
	TLS      *tls.Config // of sessions, by STARTTLS; nil for none
	Rudeness float64     // share of attempts in which the client itself goes away: 0 to 1
	Ledger   *Ledger
	// Kill kills the relay, in some attempts and at any point of them; nil for never.
	Kill func()
}

// killEvery of so many points in attempts one is the relay's last.
const killEvery = 150

// maxAttempts is after how many a message is given up, which the judgement then
// tells. Not counted are those that found no relay.
const maxAttempts = 200

// Run returns when all messages have come to an end, or ctx has.
func (s *Sender) Run(ctx context.Context) {
	var next atomic.Int64
	var crowd sync.WaitGroup
	for n := range s.Crowd {
		crowd.Go(func() {
			w := s.worker(n)
			defer w.hangUp()
			for m := int(next.Add(1)) - 1; m < s.Messages && ctx.Err() == nil; m = int(next.Add(1)) - 1 {
				w.deliver(ctx, m)
			}
		})
	}
	crowd.Wait()
}

// A worker sends one message at a time, from an address and under a name of its
// own.
type worker struct {
	*Sender
	addr    net.IP
	name    string
	random  *rand.Rand // when to begin a new session, how long to wait
	session *session   // nil if there is none
	sent    int        // in this session
}

// worker returns the worker of that number. Its address is not that of the
// relay: a client that calls a free port from the same address may come out at
// it, and talk to itself.
func (s *Sender) worker(n int) *worker {
	return &worker{
		Sender: s,
		addr:   net.IPv4(127, 0, 1, byte(1+n)),
		name:   fmt.Sprintf("client%d.test.example", n),
		random: drawn(s.Seed, "worker", n),
	}
}

// deliver sends a message until each recipient has it or is refused.
func (w *worker) deliver(ctx context.Context, message int) {
	text, rcpts := Text(w.Seed, message), Rcpts(message)
	for n := 0; n < maxAttempts && len(rcpts) > 0 && ctx.Err() == nil; {
		if !w.ready() {
			w.pause(10 * time.Millisecond)
			continue
		}
		a := &attempt{
			Attempt: Attempt{Key: Key{message, n}, Client: identity(w.addr.String(), w.name)},
			Sender:  w.Sender,
			session: w.session,
			random:  drawn(w.Seed, "attempt", message*maxAttempts+n),
			asked:   rcpts,
		}
		n++
		a.make(text)
		w.Ledger.tried(a.Attempt)
		rcpts = a.left(rcpts)
		if w.sent++; a.over || w.random.IntN(5) == 0 || a.Outcome != Acknowledged && !w.session.reset() {
			w.hangUp()
		}
		if a.Outcome != Acknowledged {
			w.pause(30 * time.Millisecond)
		}
	}
}

// ready opens a session if there is none.
func (w *worker) ready() bool {
	if w.session == nil {
		w.session, w.sent = w.greet(), 0
	}
	return w.session != nil
}

// hangUp ends the session, if there is one.
func (w *worker) hangUp() {
	if w.session != nil {
		w.session.quit()
		w.session = nil
	}
}

func (w *worker) pause(most time.Duration) {
	time.Sleep(time.Millisecond + time.Duration(w.random.Int64N(int64(most))))
}

// left returns the recipients that neither have the message nor are refused.
func (a *attempt) left(rcpts []string) []string {
	var left []string
	for _, rcpt := range rcpts {
		done := a.accepted[rcpt] && (a.Outcome == Acknowledged || a.Outcome == Refused)
		for _, b := range a.Bounced {
			done = done || b.Rcpt == rcpt
		}
		if !done {
			left = append(left, rcpt)
		}
	}
	return left
}
