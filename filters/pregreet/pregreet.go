// Package pregreet finds clients that do not talk as mail servers do: before
// they are greeted, ahead of their turn, or in another protocol.
package pregreet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/ipset"
)

const doc = `Finds clients that do not talk as mail servers do: before they are greeted, ahead of their turn, or in another protocol.

A mail server waits to be greeted. Programs that send spam and no more are in a
hurry: a client that mailweir does not know has to wait before it hears the
greeting, and if it talks before that it is found out. All other filters of
the stage are asked first, so that their look-ups use the time. Then, in the
same session:

    early_talk   the client talks before it is greeted
    pipelining   it sends on where it must wait for a reply (RFC 2920 section 3.1)
    non_smtp     it sends a method of HTTP, a field of a header, a TLS handshake,
                 or a line that begins with anything but a letter
    bare_lf      it ends a command with LF without CR

Each test has a switch: true, false, or ignore for one that is only observed
while others are in force. A client that passes a test is remembered, by its
address or its IPv6 /64, and the test is not made again for as long as the
test's ttl says: early_talk is passed when the wait is over, the others when a
message has come without a breach. A client that has passed early_talk does not
wait. A new one waits once, and its mail is delivered in that same session.

Like all new tests these are only observed until the entry says action:
enforce or drop.

Example:

    - pregreet: {wait: 6s, teaser: "mail server, please wait", pipelining: ignore}

The teaser is sent at once as a first line of the greeting, 220-, so that a
client which takes it for the whole greeting gives itself away. When busy_share
of sessions.max is under way, new clients wait no longer than busy_wait.

With trust_score and a filter dnsbl in the chain, a client whose score is that
number or less waits no longer as soon as the score is known: give lists such
as dnswl a negative weight there.

On a listener where people submit mail turn wait off: mail programs are not
mail servers. A milter does not see any of this; Postfix has postscreen there.

Reasons:

    early_talk   550 5.5.1
    pipelining   550 5.5.1
    non_smtp     521 5.5.1, at once and with the end of the session
    bare_lf      550 5.5.1
`

// Config is the configuration of one filter.
type Config struct {
	Wait          time.Duration `yaml:"wait" min:"0s" max:"1m" doc:"how long a client that is not known waits for the greeting; 0s for not at all"`
	BusyWait      time.Duration `yaml:"busy_wait" min:"0s" max:"1m" doc:"how long at most while mailweir is busy"`
	BusyShare     float64       `yaml:"busy_share" min:"0" max:"1" doc:"mailweir is busy from this share of sessions.max on"`
	Teaser        string        `yaml:"teaser" doc:"text of a first line of the greeting that is sent before the wait; empty for none"`
	EarlyTalk     filters.Test  `yaml:"early_talk" doc:"test for clients that talk before they are greeted; false also ends the wait"`
	Pipelining    filters.Test  `yaml:"pipelining" doc:"test for commands sent ahead where the client must wait for a reply"`
	NonSMTP       filters.Test  `yaml:"non_smtp" doc:"test for what is no command of SMTP: HTTP, TLS, binary octets"`
	BareLF        filters.Test  `yaml:"bare_lf" doc:"test for commands that end in LF without CR"`
	TrustScore    int           `yaml:"trust_score" max:"0" doc:"a client whose score by dnsbl is this negative number or less waits no longer; 0 to look at no score"`
	EarlyTalkTTL  time.Duration `yaml:"early_talk_ttl" min:"0s" max:"87600h" doc:"how long it is remembered that a client has passed early_talk"`
	PipeliningTTL time.Duration `yaml:"pipelining_ttl" min:"0s" max:"87600h" doc:"how long it is remembered that a client has passed pipelining"`
	NonSMTPTTL    time.Duration `yaml:"non_smtp_ttl" min:"0s" max:"87600h" doc:"how long it is remembered that a client has passed non_smtp"`
	BareLFTTL     time.Duration `yaml:"bare_lf_ttl" min:"0s" max:"87600h" doc:"how long it is remembered that a client has passed bare_lf"`
	Exempt        []ipset.Net   `yaml:"exempt" doc:"addresses and networks whose clients neither wait nor are tested"`
}

// Kind describes these filters. Waits and times are postscreen's.
var Kind = filters.Define(filters.Kind{
	Name:    "pregreet",
	Doc:     doc,
	Needs:   filters.HearClient,
	Observe: true,
	Lenient: true,
	Waits:   true,
}, Config{
	Wait:          6 * time.Second,
	BusyWait:      2 * time.Second,
	BusyShare:     0.8,
	EarlyTalk:     filters.On,
	Pipelining:    filters.On,
	NonSMTP:       filters.On,
	BareLF:        filters.On,
	EarlyTalkTTL:  24 * time.Hour,
	PipeliningTTL: 30 * 24 * time.Hour,
	NonSMTPTTL:    30 * 24 * time.Hour,
	BareLFTTL:     30 * 24 * time.Hour,
	Exempt:        ipset.Inside(),
}, build)

var (
	_ filters.ConnectFilter = (*filter)(nil)
	_ filters.MessageFilter = (*filter)(nil)
	_ filters.ConductFilter = (*filter)(nil)
	_ filters.Stager        = (*filter)(nil)
)

type filter struct {
	Config
	tests  [numTests]filters.Test // the switches
	exempt *ipset.Set
	memory memory
	waits  waits
	visits filters.Fact[*visit] // of this filter alone
}

func build(env filters.Env, c *Config) (filters.Filter, error) {
	if err := c.check(env.Timeout); err != nil {
		return nil, err
	}
	f := &filter{
		Config: *c,
		tests:  [numTests]filters.Test{c.EarlyTalk, c.Pipelining, c.NonSMTP, c.BareLF},
		exempt: ipset.Of(c.Exempt),
		memory: memory{env.Store, env.Now, [numTests]time.Duration{c.EarlyTalkTTL, c.PipeliningTTL, c.NonSMTPTTL, c.BareLFTTL}},
		waits:  newWaits(env),
	}
	if c.Wait == 0 {
		f.tests[earlyTalk] = filters.Off
	}
	f.visits = filters.NewFact[*visit](fmt.Sprintf("pregreet.visit.%p", f), "what one entry tests in the session")
	return f, nil
}

// maxTeaser keeps the line well below the 512 octets of RFC 5321 section
// 4.5.3.1.5, with our name in front.
const maxTeaser = 200

func (c *Config) check(timeout time.Duration) error {
	for _, b := range []byte(c.Teaser) {
		if b < ' ' || b > '~' {
			return errors.New("teaser: it must be one line of ASCII text")
		}
	}
	switch {
	case len(c.Teaser) > maxTeaser:
		return fmt.Errorf("teaser: it must not be longer than %d octets", maxTeaser)
	case timeout > 0 && timeout <= c.Wait:
		return fmt.Errorf("timeout: %v would end each wait of %v as a failure: leave timeout out, or make wait shorter", timeout, c.Wait)
	}
	return nil
}

// Stages tells where there is something to do for the tests that are made.
func (f *filter) Stages() filters.Stages {
	var set filters.Stages
	for t, position := range f.tests {
		if position.Made() {
			set |= filters.StageSet(filters.Connect)
			if test(t) != earlyTalk {
				set |= filters.StageSet(filters.EOM, filters.Conduct)
			}
		}
	}
	return set
}

// visit is what is tested in one session.
type visit struct {
	key    string // of the client in the memory
	open   tests  // being made, and not broken so far
	passed tests  // of these, what the memory has learnt
}

// Connect lets a client wait that is not known. Without a wire there is nothing
// to find.
func (f *filter) Connect(ctx context.Context, s *filters.Session) filters.Verdict {
	client := s.Client.Addr()
	if s.Wire == nil || f.exempt.Contains(client) {
		return filters.Verdict{}
	}
	v := &visit{key: keyOf(client)}
	known := f.memory.recall(v.key)
	for t, position := range f.tests {
		if position.Made() && !known.valid(test(t), f.memory.now()) {
			v.open = v.open.with(test(t))
		}
	}
	if v.open == 0 {
		return filters.Verdict{}
	}
	f.visits.Set(s, v)
	if !v.open.has(earlyTalk) {
		return filters.Verdict{}
	}
	return f.letWait(ctx, s, v)
}

// Conduct is a test that was not passed.
func (f *filter) Conduct(ctx context.Context, s *filters.Session, b filters.Breach, sample []byte) filters.Verdict {
	v, err := f.visits.Get(ctx, s)
	t := testOf(b)
	if err != nil || !v.open.has(t) {
		return filters.Verdict{} // it is known to be no habit of the client
	}
	return f.broken(v, t, sample)
}

// broken takes note of a test that was not passed, even if it seemed to be.
func (f *filter) broken(v *visit, t test, sample []byte) filters.Verdict {
	v.open = v.open.without(t)
	if v.passed.has(t) {
		f.memory.forget(v.key, t)
	}
	r := replies[t]
	verdict := filters.Refuse(t.String(), r.Code, r.Enh, r.Text)
	if len(sample) > 0 {
		verdict.Finding.Err = fmt.Errorf("the client sent %+q", sample)
	}
	return f.tests[t].Finds(verdict)
}

// Message remembers what a client has passed that has sent a whole message.
func (f *filter) Message(ctx context.Context, t *filters.Transaction) filters.Verdict {
	v, err := f.visits.Get(ctx, t.Session)
	if err == nil {
		f.pass(v, v.open.without(earlyTalk)&^v.passed)
	}
	return filters.Verdict{}
}

func (f *filter) pass(v *visit, which tests) {
	if which != 0 {
		v.passed |= which
		f.memory.learn(v.key, which)
	}
}
