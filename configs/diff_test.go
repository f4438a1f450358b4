package configs_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mailweir/mailweir/configs"
)

func diff(t *testing.T, old, now string) string {
	t.Helper()
	var lines []string
	for _, c := range configs.Diff(parse(t, old), parse(t, now)) {
		lines = append(lines, c.String())
	}
	return strings.Join(lines, "\n")
}

// TestDiffValues goes through the types that an option may have.
func TestDiffValues(t *testing.T) {
	for _, c := range []struct{ old, now, want string }{
		{"{}", "{}", ""},
		{"{weight: 0.5}", "{weight: 0.25}", "weight: 0.5 -> 0.25"},
		{"{message: a}", `{message: "a b"}`, `message: a -> "a b"`},
		{"{message: a}", `{message: "a\u001b[2J"}`, `message: a -> "a\x1b[2J"`},
		{"{switch: true}", "{switch: ignore}", "switch: true -> ignore"},
		{"{}", "{nested: {name: a}}", "nested: null -> {name: a}"},
		{"{nested: {name: a}}", "{nested: {name: b}}", "nested.name: a -> b"},
		{"{ports: {a: 1, b: 2, c: 3}}", "{ports: {d: 4, c: 3, b: 5}}", "ports.a: removed\nports.b: 2 -> 5\nports.d: added 4"},
		{"{free: {a: [1, {b: 2}]}}", "{free: {a: [1, {b: 3}]}}", "free: {a: [1, {b: 2}]} -> {a: [1, {b: 3}]}"},
		{"{free: 1}", "{}", "free: 1 -> null"},
		{"{zones: [{name: a}, {name: b}, {name: c}]}", "{zones: [{name: c}, {name: a}, {name: d}, {name: b}]}",
			"zones[c]: moved to the front\nzones[d]: added behind a"},
		{"{zones: [{name: a}, {name: a}]}", "{zones: [{name: a}]}", "zones: [{name: a}, {name: a}] -> [{name: a}]"},
		{"{lists: [a, {name: b, weight: 2}]}", "{lists: [{name: a, weight: 0}, b]}", "lists[a].weight: 5 -> 0\nlists[b].weight: 2 -> 5"},
		{"{lists: [{name: a, key: k1}]}", "{lists: [{name: a, key: k2}]}", "lists[a].key: changed (it is secret)"},
		{"{lists: [{name: a, key: k1}, {name: a, key: k3}]}", "{lists: [{name: a, key: k1}]}",
			"lists: changed in order, or in what is not shown"},
		{"{best: {name: a, key: k1}}", "{best: b}", "best.name: a -> b\nbest.weight: 0 -> 5\nbest.key: changed (it is secret)"},
	} {
		got := diff(t, "chain: [{probe: "+c.old+"}]", "chain: [{probe: "+c.now+"}]")
		want := ""
		for line := range strings.Lines(c.want) {
			want += "filter probe: " + line
		}
		if got != want {
			t.Errorf("%s, %s:\n%s", c.old, c.now, cmp.Diff(want, got))
		}
	}
}

// TestDiffLists holds a change of a long list to be told in short.
func TestDiffLists(t *testing.T) {
	list := func(from, to int) string {
		var nets []string
		for i := from; i < to; i++ {
			nets = append(nets, fmt.Sprintf("192.0.%d.0/24", i))
		}
		return "chain: [{access: {deny: [" + strings.Join(nets, ", ") + "]}}]"
	}
	for _, c := range []struct{ old, now, want string }{
		{list(0, 20), list(0, 21), "with 192.0.20.0/24"},
		{list(0, 20), list(3, 20), "without 192.0.0.0/24, 192.0.1.0/24, 192.0.2.0/24"},
		{list(0, 20), list(10, 20), "without 192.0.0.0/24, 192.0.1.0/24, 192.0.2.0/24, 192.0.3.0/24, 192.0.4.0/24 and 5 more"},
		{list(0, 20), list(1, 21), "without 192.0.0.0/24, with 192.0.20.0/24"},
		{list(0, 20), strings.Replace(list(0, 20), "192.0.0.0/24, 192.0.1.0/24", "192.0.1.0/24, 192.0.0.0/24", 1),
			"changed in order, or in what is not shown"},
	} {
		if got := diff(t, c.old, c.now); got != "filter access: deny: "+c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}

// TestDiffChain goes through what becomes of entries.
func TestDiffChain(t *testing.T) {
	got := diff(t, "delay_reject: mail\nchain: [{access: {}}, {helo: {}, name: x}, {size: {}, timeout: 1s}, {rcpt: {}}]",
		"watch: true\nchain: [{rcpt: {}, quarantine: {redirect: a@b.example}}, {access: {}, on_error: reject}, {verbs: {}, name: x}, {size: {}, listeners: [mx]}]")
	want := `watch: false -> true
delay_reject: mail -> rcpt
filter rcpt: moved to the front
filter rcpt: quarantine.redirect: "" -> "a@b.example"
filter access: on_error: tempfail -> reject
filter x: of kind verbs instead of helo
filter size: timeout: 1s -> 0s
filter size: listeners: [] -> [mx]`
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// TestKeeping holds what a reload leaves alone to be what Diff says takes a
// restart.
func TestKeeping(t *testing.T) {
	const text = `log: {format: json, level: debug}
dns: {timeout: 5s, servers: [192.0.2.53]}
state: {file: state}
admin: {address: "127.0.0.1:1"}
sessions: {max: 7}
`
	old, now := parse(t, ""), parse(t, text)
	var left []string
	for _, c := range configs.Diff(old, now.Keeping(old)) {
		if c.Restart {
			t.Errorf("%s is not kept", c)
		}
		left = append(left, c.Name())
	}
	for _, c := range configs.Diff(now.Keeping(old), now) {
		if !c.Restart {
			t.Errorf("%s is kept", c)
		}
	}
	if want := []string{"log.level", "sessions.max"}; !slices.Equal(left, want) {
		t.Errorf("%q, want %q", left, want)
	}
	if now.Sessions.Max != 7 || now.DNS.Timeout != 5*time.Second {
		t.Error("the configuration itself has changed")
	}
}

// TestDiffMoves holds the entries that are told to have moved to be as few as
// possible, and the others to be in order.
func TestDiffMoves(t *testing.T) {
	names := strings.Fields("a b c d e f g h")
	text := func(names []string) string {
		text := "chain:\n"
		for _, name := range names {
			text += "  - {helo: {}, name: " + name + "}\n"
		}
		return text
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		shuffled := slices.Clone(names)
		random.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		moved := map[string]bool{}
		for _, c := range configs.Diff(parse(t, text(names)), parse(t, text(shuffled))) {
			moved[strings.TrimPrefix(c.Where, "filter ")] = true
		}
		stayed := slices.DeleteFunc(slices.Clone(shuffled), func(name string) bool { return moved[name] })
		if !slices.IsSorted(stayed) {
			t.Errorf("%q: %q have not moved", shuffled, stayed)
		}
		if longest := longestSorted(shuffled); len(stayed) != longest {
			t.Errorf("%q: %d have moved, %d would do", shuffled, len(moved), len(names)-longest)
		}
	}
}

// longestSorted tries all subsets.
func longestSorted(names []string) int {
	best := 0
	for set := range 1 << len(names) {
		var some []string
		for i, name := range names {
			if set&(1<<i) != 0 {
				some = append(some, name)
			}
		}
		if slices.IsSorted(some) {
			best = max(best, len(some))
		}
	}
	return best
}
