package proxy_test

import (
	"testing"

	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// A milterRefusal is what a filter says through an MTA.
type milterRefusal struct {
	name, filter, reason string
	delay, chain         string
	source               string            // the client's address, whichever if ""
	helo                 string            // "" for a decent one
	commands             []string          // as converse takes them
	codes                string            // as in a talk
	mute                 map[string]string // codes behind an MTA that keeps mailweir's words to itself
	arrives              string            // the sender of a message that arrives nevertheless
}

var milterRefusals = []milterRefusal{
	{
		name: "nothing", chain: seenKinds,
		commands: plainCommands,
		codes:    "220 250 250 250 354 250", arrives: "from@test.example",
	},
	{
		name: "client at rcpt", filter: "access", reason: "denied", delay: "rcpt",
		chain: "[access: {deny: [127.0.0.2]}]", source: "127.0.0.2",
		commands: plainCommands, codes: "220 250 250 554",
	},
	{
		name: "client at once", filter: "access", reason: "denied", delay: "connect",
		chain: "[access: {deny: [127.0.0.2]}]", source: "127.0.0.2",
		commands: plainCommands, codes: "554 250 554",
		mute: map[string]string{sendmail: "554 250 550"},
	},
	{
		name: "client hung up on", filter: "access", reason: "denied",
		chain: "[{access: {deny: [127.0.0.2]}, action: drop}]", source: "127.0.0.2",
		commands: plainCommands,
		mute:     map[string]string{postfix: "421 closed", sendmail: "421 closed"},
	},
	{
		name: "client not listed", delay: "connect",
		chain:    "[access: {deny: [127.0.0.2]}]",
		commands: plainCommands,
		codes:    "220 250 250 250 354 250", arrives: "from@test.example",
	},
	{
		name: "client, everything else allowed", delay: "connect",
		chain:  "[access: {allow: [127.0.0.2]}, size: {max: 1KiB}]",
		source: "127.0.0.2", commands: plainCommands,
		codes: "220 250 250 250 354 250", arrives: "from@test.example",
	},
	{
		name: "helo at rcpt", filter: "helo", reason: "helo_bare_address", delay: "rcpt",
		chain: "[helo: {exempt: []}]", helo: "192.0.2.1",
		commands: plainCommands, codes: "220 250 250 550",
	},
	{
		name: "helo at once", filter: "helo", reason: "helo_bare_address", delay: "connect",
		chain: "[helo: {exempt: []}]", helo: "192.0.2.1",
		commands: plainCommands, codes: "220 250 550",
	},
	{
		name: "declared size at rcpt", filter: "size", reason: "declared_size", delay: "rcpt",
		chain:    "[size: {max: 1KiB}]",
		commands: []string{"MAIL FROM:<from@test.example> SIZE=2000", "RCPT TO:<to@test.example>"},
		codes:    "220 250 250 552",
	},
	{
		name: "declared size at once", filter: "size", reason: "declared_size", delay: "connect",
		chain:    "[size: {max: 1KiB}]",
		commands: []string{"MAIL FROM:<from@test.example> SIZE=2000"},
		codes:    "220 250 552",
	},
	{
		name: "size", filter: "size", reason: "size",
		chain:    "[size: {max: 1KiB}]",
		commands: plainCommands, codes: "220 250 250 250 354 552",
	},
	{
		name: "domain", filter: "rcpt", reason: "relay_denied",
		chain:    "[rcpt: {domains: [other.example], relay_from: []}]",
		commands: []string{"MAIL FROM:<from@test.example>", "RCPT TO:<to@test.example>"},
		codes:    "220 250 250 550",
	},
	{
		name: "one of two domains", filter: "rcpt", reason: "relay_denied",
		chain: "[rcpt: {domains: [test.example], relay_from: []}]",
		commands: []string{"MAIL FROM:<from@test.example>", "RCPT TO:<to@test.example>",
			"RCPT TO:<to@other.example>", "DATA"},
		codes: "220 250 250 250 550 354 250", arrives: "from@test.example",
	},
	{
		name: "recipients", filter: "rcpt", reason: "too_many_recipients",
		chain: "[rcpt: {max: 1}]",
		commands: []string{"MAIL FROM:<from@test.example>", "RCPT TO:<a@test.example>",
			"RCPT TO:<b@test.example>", "DATA"},
		codes: "220 250 250 250 452 354 250", arrives: "from@test.example",
	},
}

// Each filter refuses through the MTA, the client reads mailweir's words, and
// the log has a record with the id that they quote.
func testMilterRefusals(t *testing.T, binary peer.Mailweir, kind mtaKind) {
	for _, refusal := range milterRefusals {
		t.Run(refusal.name, func(t *testing.T) {
			w := newWeir(t, binary, kind, peer.MilterOptions{Delay: refusal.delay, Chain: refusal.chain, Unix: true})
			want, mute := refusal.codes, false
			if codes, ok := refusal.mute[kind.name]; ok {
				want, mute = codes, true
			}
			k := converse(t, w.mta.Address(), refusal.source, refusal.helo, refusal.commands)
			if k.codes != want {
				t.Errorf("the client heard %s, want %s; the last refusal was %q", k.codes, want, k.refusal)
			}
			if refusal.filter != "" && !mute {
				w.refusedAs(t, k.refusal, refusal.filter, refusal.reason)
			}
			if mute && quotedID.MatchString(k.refusal) {
				t.Errorf("%s does pass on mailweir's words %q", kind.name, k.refusal)
			}
			if got := w.senders(t); got != refusal.arrives {
				t.Errorf("messages from %q arrived, want %q", got, refusal.arrives)
			}
		})
	}
}
