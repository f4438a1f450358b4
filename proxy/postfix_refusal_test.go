package proxy_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// swaks comes through, with and without pipelining.
func testSwaks(t *testing.T, binary peer.Mailweir) {
	for name, args := range map[string][]string{"one by one": nil, "pipelined": {"--pipeline"}} {
		t.Run(name, func(t *testing.T) {
			r := newRoute(t, binary, "{}", allKinds)
			args = append(args, "--from", "from@test.example", "--to", "to@test.example", "--body", "a line\n.\n")
			if out, exit := peer.Swaks(t, r.relay.Addr, args...); exit != 0 {
				t.Fatalf("swaks ended with status %d:\n%s", exit, out)
			}
			m := r.sink.Wait(t, 1, time.Minute)[0]
			if m.From != "from@test.example" || m.To != "to@test.example" {
				t.Errorf("the message went from %q to %q", m.From, m.To)
			}
			if !strings.Contains(string(m.Data), "\r\n\r\na line\r\n.\r\n") {
				t.Errorf("the body was altered:\n%s", m.Data)
			}
		})
	}
}

// A refusal is what a filter says to a client of this test.
type refusal struct {
	filter, reason string
	code           string   // of the reply
	chain          string   // if not allKinds
	args           []string // of swaks
	commands       []string // what to send instead; the last one is refused
	arrives        string   // the recipient whose message arrives nevertheless
}

var refusals = []refusal{
	{
		filter: "access", reason: "denied", code: "554",
		chain: "[access: {deny: [127.0.0.2]}]",
		args:  []string{"--local-interface", "127.0.0.2"},
	},
	{
		filter: "helo", reason: "helo_bare_address", code: "550",
		args: []string{"--helo", "192.0.2.1"},
	},
	{
		filter: "verbs", reason: "vrfy", code: "502",
		chain:    `[verbs: {vrfy: "502"}]`,
		commands: []string{"VRFY postmaster"},
	},
	{
		filter: "size", reason: "declared_size", code: "552",
		commands: []string{"MAIL FROM:<from@test.example> SIZE=52428801", "RCPT TO:<to@test.example>"},
	},
	{
		filter: "size", reason: "size", code: "552",
		chain: "[size: {max: 1KiB}]",
		args:  []string{"--body", strings.Repeat("0123456789\n", 1000)},
	},
	{
		filter: "rcpt", reason: "relay_denied", code: "550",
		args: []string{"--to", "to@elsewhere.example"},
	},
	{
		filter: "rcpt", reason: "too_many_recipients", code: "452",
		chain:   "[rcpt: {max: 1}]",
		args:    []string{"--to", "a@test.example,b@test.example"},
		arrives: "a@test.example",
	},
}

// Each filter refuses, the reply has an id, and the log's record of it too.
func testRefusals(t *testing.T, binary peer.Mailweir) {
	for _, refusal := range refusals {
		t.Run(refusal.filter+"/"+refusal.reason, func(t *testing.T) {
			chain := refusal.chain
			if chain == "" {
				chain = allKinds
			}
			r := newRoute(t, binary, "{}", chain)
			id := refusal.provoke(t, r.relay.Addr)
			records := r.relay.Records(t, "refused")
			i := slices.IndexFunc(records, func(record map[string]any) bool { return record["id"] == id })
			if i < 0 {
				t.Fatalf("no record in the log with the id %s of the reply", id)
			}
			got := records[i]
			if got["filter"] != refusal.filter || got["reason"] != refusal.reason {
				t.Errorf("the log says filter %v, reason %v; want %s and %s",
					got["filter"], got["reason"], refusal.filter, refusal.reason)
			}
			var arrived string
			for _, m := range r.arrived(t) {
				arrived += strings.Join(m.Rcpts, " ")
			}
			if arrived != refusal.arrives {
				t.Errorf("messages for %q arrived, want %q", arrived, refusal.arrives)
			}
		})
	}
}

// provoke has the client refused and returns the id in the reply.
func (r refusal) provoke(t *testing.T, addr string) string {
	t.Helper()
	var dialogue string
	if last := len(r.commands) - 1; last >= 0 {
		c := peer.Dial(t, addr)
		c.Hello()
		for _, command := range r.commands[:last] {
			c.Do("250", command)
		}
		dialogue = c.Do(r.code, r.commands[last])
		c.Quit()
	} else {
		args := []string{"--from", "from@test.example"}
		if !slices.Contains(r.args, "--to") {
			args = append(args, "--to", "to@test.example")
		}
		dialogue, _ = peer.Swaks(t, addr, append(args, r.args...)...)
	}
	reply := regexp.MustCompile(`(?m)` + r.code + `[ -].*\(id ([^)]+)\)`).FindStringSubmatch(dialogue)
	if reply == nil {
		t.Fatalf("want a reply %s with an id in\n%s", r.code, dialogue)
	}
	return reply[1]
}
