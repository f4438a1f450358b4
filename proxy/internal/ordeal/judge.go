package ordeal

import (
	"fmt"
	"slices"
	"strings"
)

// Why a client does not know of its message.
const (
	ClientLeft   = "the client had left"
	RelayKilled  = "the relay was killed"
	PatienceLost = "the relay had lost patience"
)

// A Judgement is what came of so many messages.
type Judgement struct {
	Problems []string // what must not happen

	Messages, Recipients int
	Delivered, Bounced   int            // recipients
	Lost                 int            // attempts that were acknowledged, and are not at the upstream
	Duplicates           int            // copies beyond the first that a recipient got
	Windows              map[string]int // messages that are there though their client does not know it, by why it does not
	Outcomes             map[Outcome]int
	Kills                int
	Seen                 map[string]int // faults and other events
}

// Judge holds what clients know against what upstreams have, when all is over.
func (l *Ledger) Judge(messages int) *Judgement {
	l.mu.Lock()
	defer l.mu.Unlock()
	j := &Judgement{Messages: messages, Windows: map[string]int{}, Outcomes: map[Outcome]int{}, Kills: len(l.kills), Seen: l.seen}
	for _, fault := range l.faults {
		j.problem("the protocol was broken: %s", fault)
	}
	taken := map[Key]*Take{}
	for _, t := range l.takes {
		if taken[t.Key] != nil {
			j.problem("%s is at the upstream twice", t.Key)
		}
		if t.Fault != "" {
			j.problem("%s is not what was sent: %s", t.Key, t.Fault)
		}
		taken[t.Key] = t
	}
	known := map[Key]bool{}
	for _, a := range l.attempts {
		known[a.Key] = true
		j.Outcomes[a.Outcome]++
		if t := taken[a.Key]; t != nil && t.Client != "" && t.Client != a.Client {
			j.problem("%s is of %s, the upstream was told of %s", a.Key, a.Client, t.Client)
		}
		l.judge(j, a, taken[a.Key])
	}
	for k := range taken {
		if !known[k] {
			j.problem("%s is at the upstream, and no client has sent it", k)
		}
	}
	j.settle(l.attempts, l.takes)
	return j
}

func (j *Judgement) problem(format string, args ...any) {
	j.Problems = append(j.Problems, fmt.Sprintf(format, args...))
}

// judge holds one attempt against what the upstream has of it, nil if nothing.
func (l *Ledger) judge(j *Judgement, a Attempt, t *Take) {
	for _, b := range a.Bounced {
		l.mustHaveSaid(j, a, b.Reply)
	}
	if a.Outcome == Refused {
		l.mustHaveSaid(j, a, a.Reply)
	}
	if l.logged[a.Key] == delivered && a.Outcome != Acknowledged && a.Outcome != Left {
		j.problem("%s: the relay has logged that it passed the 250 on, but the client was %s (%q)", a.Key, a.Outcome, a.Reply)
	}
	switch {
	case a.Outcome == Acknowledged:
		l.judgeAcknowledged(j, a, t)
	case t == nil:
	case a.Outcome == HungUp:
		j.problem("%s: its client left inside of the text, and the upstream has it", a.Key)
	default:
		why := l.window(a, t)
		if why == "" {
			j.problem("%s: the upstream has it and its 250 went out, but the client was %s (%q), %s after its dot; the nearest kill was %s away, and the relay has logged %q",
				a.Key, a.Outcome, a.Reply, a.Ended.Sub(a.Dot), l.nearestKill(a.Dot, a.Ended), l.logged[a.Key])
			return
		}
		j.Windows[why]++
	}
}

// mustHaveSaid holds a refusal for good to be an upstream's.
func (l *Ledger) mustHaveSaid(j *Judgement, a Attempt, reply string) {
	if !l.refusals[reply] {
		j.problem("%s was refused for good, but not by the upstream: %q", a.Key, reply)
	}
}

func (l *Ledger) judgeAcknowledged(j *Judgement, a Attempt, t *Take) {
	switch {
	case t == nil:
		j.Lost++
		j.problem("%s is LOST: its client heard %q", a.Key, a.Reply)
		return
	case !l.Foreign && !t.said:
		j.problem("%s: its client heard %q before the upstream had said so", a.Key, a.Reply)
	case !l.Foreign && !strings.Contains(a.Reply, "taken "+a.Key.String()+"\r\n"):
		j.problem("%s: its client heard the reply to another message: %q", a.Key, a.Reply)
	}
	if !slices.Equal(slices.Sorted(slices.Values(a.Rcpts)), slices.Sorted(slices.Values(t.Rcpts))) { // an MTA between may sort them
		j.problem("%s: the client was told that %v would get it, the upstream has %v", a.Key, a.Rcpts, t.Rcpts)
	}
}

// window tells why the client does not know of a message that the upstream has;
// "" if it should. A relay that was killed has not logged the end of the
// transaction: whatever else ends one, it does.
func (l *Ledger) window(a Attempt, t *Take) string {
	switch {
	case a.Dot.IsZero():
		return ""
	case a.Outcome == Left:
		return ClientLeft
	case a.Outcome == Lost && l.killedWithin(a.Dot, a.Ended) && l.logged[a.Key] == "":
		return RelayKilled
	case t.Misled != "":
		return "the upstream's reply was lost: " + t.Misled
	case t.Partly != "" && (a.Outcome == Deferred || a.Outcome == Refused):
		return "others of LMTP were refused: " + t.Partly
	case a.Outcome == Deferred && a.Ended.Sub(a.Dot) >= l.Patience:
		return PatienceLost
	}
	return ""
}

// settle counts recipients, and holds each to have the message or a refusal.
func (j *Judgement) settle(attempts []Attempt, takes []*Take) {
	type mailbox struct {
		message int
		rcpt    string
	}
	acknowledged, bounced, copies := map[mailbox]bool{}, map[mailbox]bool{}, map[mailbox]int{}
	for _, a := range attempts {
		for _, b := range a.Bounced {
			bounced[mailbox{a.Message, b.Rcpt}] = true
		}
		for _, rcpt := range a.Rcpts {
			switch a.Outcome {
			case Acknowledged:
				acknowledged[mailbox{a.Message, rcpt}] = true
			case Refused:
				bounced[mailbox{a.Message, rcpt}] = true
			}
		}
	}
	for _, t := range takes {
		for _, rcpt := range t.Rcpts {
			copies[mailbox{t.Message, rcpt}]++
		}
	}
	for n := range j.Messages {
		for _, rcpt := range Rcpts(n) {
			box := mailbox{n, rcpt}
			j.Recipients++
			j.Duplicates += max(0, copies[box]-1)
			switch {
			case acknowledged[box]:
				j.Delivered++
			case bounced[box]:
				j.Bounced++
			default:
				j.problem("message %d has come to no end for %s", n, rcpt)
			}
		}
	}
}
