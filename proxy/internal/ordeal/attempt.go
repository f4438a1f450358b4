package ordeal

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// An attempt is one transaction under way.
type attempt struct {
	Attempt
	*Sender
	session  *session
	random   *rand.Rand
	asked    []string
	accepted map[string]bool
	over     bool // the session is of no use any more
}

// make says the envelope and sends the text, by one of three ways.
func (a *attempt) make(text []byte) {
	a.accepted = map[string]bool{}
	group, chunks := a.random.IntN(2) == 0, a.Chunks && a.random.IntN(2) == 0 && strings.Contains(a.session.offer, "CHUNKING")
	group = group && strings.Contains(a.session.offer, "PIPELINING")
	commands := []string{"MAIL FROM:<" + a.Key.Sender() + ">"}
	for _, rcpt := range a.asked {
		commands = append(commands, "RCPT TO:<"+rcpt+">")
	}
	if !chunks {
		commands = append(commands, "DATA")
	}
	if group {
		a.session.write(strings.Join(commands, "\r\n") + "\r\n")
		a.mayKill()
	}
	for i, command := range commands {
		if !group {
			a.session.write(command + "\r\n")
		}
		a.hears(i, a.session)
		if a.session.gone || a.Outcome != "" && !group {
			break
		}
	}
	switch {
	case a.session.gone, a.Outcome != "":
	case chunks:
		a.sendChunks(text)
	default:
		a.sendText(text)
	}
	a.Ended = time.Now()
	a.over = a.over || a.session.gone
}

// hears takes the reply to a command of the envelope. Those behind one that was
// refused mean nothing.
func (a *attempt) hears(i int, from *session) {
	code, reply := from.reply()
	rcpt := i - 1
	switch {
	case a.Outcome != "":
		if code == 354 {
			from.write(".\r\n") // a text for nobody (RFC 2920 section 3.1)
			from.reply()
		}
	case code == 0:
		a.end(Lost, reply)
	case code == 421:
		a.end(Deferred, reply)
	case i == 0:
		if code != 250 {
			a.refuse(code, reply, a.asked)
		}
	case rcpt < len(a.asked):
		a.hearsOf(a.asked[rcpt], code, reply)
		if rcpt == len(a.asked)-1 && len(a.Rcpts) == 0 {
			a.end(Deferred, reply)
		}
	case code != 354:
		a.refuse(code, reply, nil)
	}
}

// hearsOf takes the reply to a recipient.
func (a *attempt) hearsOf(rcpt string, code int, reply string) {
	switch code / 100 {
	case 2:
		a.accepted[rcpt] = true
		a.Rcpts = append(a.Rcpts, rcpt)
	case 5:
		a.Bounced = append(a.Bounced, Refusal{rcpt, reply})
	}
}

func (a *attempt) end(o Outcome, reply string) { a.Outcome, a.Reply = o, reply }

// refuse ends the attempt with 4xx or 5xx, which may be for recipients that were
// not asked about yet.
func (a *attempt) refuse(code int, reply string, rcpts []string) {
	switch code / 100 {
	case 4:
		a.end(Deferred, reply)
	case 5:
		a.end(Refused, reply)
		for _, rcpt := range rcpts {
			a.Bounced = append(a.Bounced, Refusal{rcpt, reply})
		}
	default:
		a.Ledger.broken(fmt.Sprintf("%s heard %q", a.Key, reply))
		a.end(Lost, reply)
		a.over = true
	}
}

// sendText sends the text after 354, in pieces.
func (a *attempt) sendText(text []byte) {
	wire := string(stuff(text))
	cut := a.random.IntN(len(wire))
	rude := a.random.Float64() < a.Rudeness
	a.session.write(wire[:cut])
	a.mayKill()
	if rude && a.random.IntN(2) == 0 {
		a.leave(HungUp)
		return
	}
	a.Dot = time.Now()
	a.session.write(wire[cut:] + ".\r\n")
	a.mayKill()
	if rude {
		a.leave(Left)
		return
	}
	a.conclude(a.session.reply())
}

// sendChunks sends the text in two chunks, waiting for the reply to each. The
// second may be empty (RFC 3030 section 2).
func (a *attempt) sendChunks(text []byte) {
	cut := a.random.IntN(len(text) + 1)
	rude := a.random.Float64() < a.Rudeness
	a.session.write(fmt.Sprintf("BDAT %d\r\n%s", cut, text[:cut]))
	if code, reply := a.session.reply(); code != 250 {
		a.conclude(code, reply)
		return
	}
	if rude && a.random.IntN(2) == 0 {
		a.leave(HungUp)
		return
	}
	a.Dot = time.Now()
	a.session.write(fmt.Sprintf("BDAT %d LAST\r\n%s", len(text)-cut, text[cut:]))
	a.mayKill()
	if rude {
		a.leave(Left)
		return
	}
	a.conclude(a.session.reply())
}

// leave ends the session without a word.
func (a *attempt) leave(o Outcome) {
	a.end(o, "")
	a.session.gone = true
}

// conclude takes the reply to the message.
func (a *attempt) conclude(code int, reply string) {
	switch {
	case code == 0:
		a.end(Lost, reply)
	case code == 250:
		a.end(Acknowledged, reply)
	case code == 421:
		a.end(Deferred, reply)
	default:
		a.refuse(code, reply, nil)
	}
}

// mayKill kills the relay, or not.
func (a *attempt) mayKill() {
	if a.Kill != nil && a.random.IntN(killEvery) == 0 {
		a.Kill()
	}
}
