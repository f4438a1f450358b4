package ordeal

import (
	"math"
	"slices"
	"sync"
	"time"
)

// Outcome is what a client knows of an attempt when it ends.
type Outcome string

// The outcomes.
const (
	Acknowledged Outcome = "acknowledged" // 250 to the whole message
	Deferred     Outcome = "deferred"     // 4xx
	Refused      Outcome = "refused"      // 5xx
	Lost         Outcome = "lost"         // the connection broke before the reply
	HungUp       Outcome = "hung up"      // the client left inside of the text
	Left         Outcome = "left"         // the client left without waiting for the reply to the text
)

// An Attempt is one transaction as its client saw it.
type Attempt struct {
	Key
	Client  string // its identity
	Outcome Outcome
	Reply   string    // the last, "" if there was none
	Rcpts   []string  // that were accepted
	Bounced []Refusal // recipients that were refused for good
	Ended   time.Time // when the outcome was known
	Dot     time.Time // when the end of the text was about to be sent; zero if it was not
}

// A Refusal is a 5xx to a recipient.
type Refusal struct{ Rcpt, Reply string }

// A Take is a message that an upstream has whole and will deliver.
type Take struct {
	Key
	Rcpts  []string
	Client string // who has sent it, as the relay told; "" if it need not
	Fault  string // what is wrong with its text, "" for nothing
	Misled string // how the upstream kept its reply from arriving, "" if it did not
	Partly string // with what it refused other recipients behind the text (LMTP), "" for none
	said   bool   // its 250 was written to the last octet
}

// A Ledger holds what all parties knew. It is safe for concurrent use.
type Ledger struct {
	Patience time.Duration // of the relay with an upstream that owes it the reply to a text
	Foreign  bool          // what clients hear are not the words of the upstream: there is an MTA between

	mu       sync.Mutex
	attempts []Attempt
	takes    []*Take
	refusals map[string]bool // 5xx of upstreams, to the letter
	kills    []death
	seen     map[string]int // how often what happened
	faults   []string       // against the protocol
	logged   map[Key]string // how transactions have ended by the relay's log
}

// tried adds an attempt that has ended.
func (l *Ledger) tried(a Attempt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.attempts = append(l.attempts, a)
}

// took adds a message that an upstream has.
func (l *Ledger) took(t *Take) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.takes = append(l.takes, t)
}

// told takes note that an upstream has confirmed a message.
func (l *Ledger) told(t *Take) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t.said = true
}

// refused adds a 5xx of an upstream.
func (l *Ledger) refused(reply string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refusals == nil {
		l.refusals = map[string]bool{}
	}
	l.refusals[reply] = true
}

// count counts something that has happened.
func (l *Ledger) count(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.seen == nil {
		l.seen = map[string]int{}
	}
	l.seen[what]++
}

// broken takes note of a breach of the protocol.
func (l *Ledger) broken(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.faults = append(l.faults, what)
}

// Kill kills the relay and returns when it is dead, which is what kill must do.
func (l *Ledger) Kill(kill func()) {
	k := death{from: time.Now()}
	kill()
	k.to = time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kills = append(l.kills, k)
}

// A death is the time in which the relay was killed: it was alive before, and
// dead afterwards.
type death struct{ from, to time.Time }

// killedWithin reports whether the relay was killed between the two.
func (l *Ledger) killedWithin(from, to time.Time) bool {
	return slices.ContainsFunc(l.kills, func(k death) bool { return !k.to.Before(from) && !k.from.After(to) })
}

// nearestKill tells how far off the nearest kill was, for who has to find out
// why a message has no explanation.
func (l *Ledger) nearestKill(from, to time.Time) string {
	best := time.Duration(math.MaxInt64)
	for _, k := range l.kills {
		best = min(best, max(from.Sub(k.to), k.from.Sub(to)))
	}
	return best.String()
}
