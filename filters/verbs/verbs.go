// Package verbs answers verbs that should not reach the upstream.
package verbs

import (
	"context"
	"slices"

	"github.com/mailweir/mailweir/filters"
)

const doc = `Answers verbs that should not reach the upstream: VRFY, EXPN, and any that you block.

VRFY and EXPN tell strangers which addresses exist. RFC 5321 section 3.5.3
lets a server answer VRFY with 252, which neither confirms nor denies. EHLO
does not offer verbs that are answered with 502.

Example:

    - verbs: {vrfy: "252", expn: "502", block: [ETRN, HELP]}

A verb in block is answered with 502 whatever vrfy and expn say. Verbs that
mail needs cannot be blocked.

Reasons:

    vrfy      252 2.0.0, or 502 5.5.1
    expn      502 5.5.1
    blocked   502 5.5.1
`

// Config is the configuration of one filter.
type Config struct {
	VRFY  VRFY   `yaml:"vrfy" doc:"how to answer VRFY: 252 neither confirms nor denies the address, 502 denies the verb, relay lets the upstream answer"`
	EXPN  EXPN   `yaml:"expn" doc:"how to answer EXPN: 502 denies the verb, relay lets the upstream answer"`
	Block []Verb `yaml:"block" doc:"verbs to answer with 502: ETRN, HELP, AUTH, VRFY, EXPN or any that mailweir does not know"`
}

// Kind describes these filters.
var Kind = filters.Define(filters.Kind{Name: "verbs", Doc: doc}, Config{VRFY: noncommittal, EXPN: notImplemented}, build)

var (
	_ filters.CommandFilter = (*filter)(nil)
	_ filters.Announcer     = (*filter)(nil)
)

type filter struct {
	answers map[string]filters.Verdict // by verb
	hidden  []string
}

func build(_ filters.Env, c *Config) (filters.Filter, error) {
	f := &filter{answers: make(map[string]filters.Verdict)}
	switch c.VRFY {
	case noncommittal:
		f.answers["VRFY"] = filters.Refuse("vrfy", 252, [3]uint16{2, 0, 0}, "The address is not verified here, send the message and delivery will be tried")
	case notImplemented:
		f.deny("VRFY", "vrfy")
	}
	if c.EXPN == notImplemented {
		f.deny("EXPN", "expn")
	}
	for _, v := range c.Block {
		f.deny(string(v), "blocked")
	}
	return f, nil
}

// announced are the verbs that the EHLO reply offers by a keyword of the same
// name.
var announced = []string{"VRFY", "EXPN", "ETRN", "HELP", "AUTH"}

func (f *filter) deny(verb, reason string) {
	f.answers[verb] = filters.Refuse(reason, 502, [3]uint16{5, 5, 1}, verb+" is not available here")
	if slices.Contains(announced, verb) && !slices.Contains(f.hidden, verb) {
		f.hidden = append(f.hidden, verb)
	}
}

// Command looks up the answer.
func (f *filter) Command(_ context.Context, _ *filters.Session, verb, _ string) filters.Verdict {
	return f.answers[verb]
}

// Announce hides what is denied.
func (f *filter) Announce(a *filters.Announcement) { a.Hide = append(a.Hide, f.hidden...) }
