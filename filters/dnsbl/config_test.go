package dnsbl_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/dnsbl"
	"github.com/mailweir/mailweir/filters/filtertest"
)

func TestConfigErrors(t *testing.T) {
	env, _ := filtertest.Env("")
	for options, want := range map[string]string{
		`{zones: [zne]}`:                                           `"zne" is neither a zone nor a preset; known presets are zen, dbl`,
		`{zones: [{preset: zne}]}`:                                 `no preset "zne"`,
		`{zones: [{weight: 1}]}`:                                   "item 1 (without a name): neither a zone nor a preset",
		`{zones: [""]}`:                                            "neither a zone nor a preset",
		`{zones: ["bl .example"]}`:                                 "not a domain name",
		`{zones: [abusix]}`:                                        "preset abusix needs a key",
		`{zones: [zen.dq.spamhaus.net]}`:                           "zen.dq.spamhaus.net needs a key",
		`{zones: [{preset: zen, zone: zen}]}`:                      "two labels or more",
		`{zones: [0badc0ffee0badc0ffee]}`:                          `"***" is neither`,
		`{zones: [{preset: spamcop, key: abc}]}`:                   "preset spamcop has no zone with keys",
		`{zones: [{zone: bl.example, key: "a b"}]}`:                "the key has characters",
		`{zones: [zen, zen.spamhaus.org]}`:                         "zen.spamhaus.org stands there twice",
		`{zones: [{preset: dbl, check: [client]}]}`:                "list of domains, and may not be asked about addresses",
		`{zones: [{zone: dbl.spamhaus.org, check: [client]}]}`:     "list of domains, and may not be asked about addresses",
		`{zones: [{preset: zen, check: [sender]}]}`:                "list of addresses",
		`{zones: [{zone: bl.example, ipv4: false}]}`:               "neither ipv4 nor ipv6",
		`{zones: [{zone: bl.example, check: [rcpt]}]}`:             "want one of [client helo sender]",
		`{zones: [{zone: bl.example, answers: [{weight: 1}]}]}`:    "match is missing",
		`{zones: [{zone: bl.example, answers: [{match: "1.2"}]}]}`: "no pattern of answers",
		`{zones: [{zone: bl.example, reply: "{zoen}"}]}`:           "unknown placeholder {zoen}; known are {client}",
		`{zones: [bl.example], reply: "{zone"}`:                    "a { without a }",
		`{zones: [bl.example], reply: "zone}"}`:                    "a } without a {",
		`{zones: [bl.example], reply: "a\nb"}`:                     "one line",
		`{zones: [bl.example], reply: ""}`:                         "one line",
		`{zones: [bl.example], threshold: 0}`:                      "want 1 or more",
		`{zones: [bl.example], max_share: 1.5}`:                    "from 0 to 1",
		`{zones: [bl.example], self_test_interval: 1s}`:            "want 1m or more",
		`{zones: [bl.example], at: eom}`:                           "want one of",
		`{zones: [dbl], at: connect}`:                              "connect is too early for dbl.spamhaus.org, which is asked about the HELO name",
		`{zones: [{preset: dbl, check: [sender]}], at: helo}`:      "too early for dbl.spamhaus.org, which is asked about the sender",
		`{zones: [{zone: bl.example, zonk: 1}]}`:                   "zonk",
	} {
		if _, err := filtertest.Build(env, dnsbl.Kind, options); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\ngot  %v\nwant %s", options, err, want)
		}
	}
}

// All that is wrong is told at once.
func TestAllErrors(t *testing.T) {
	env, _ := filtertest.Env("")
	_, err := filtertest.Build(env, dnsbl.Kind, `{zones: [zenn, {preset: dnswll}, bl.example], reply: "{zoen}", at: connect, threshold: 0}`)
	for _, want := range []string{"zenn", "dnswll", "{zoen}", "threshold: want 1 or more"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
}

func TestStages(t *testing.T) {
	for options, want := range map[string]string{
		"":                            "connect rcpt",
		"{zones: [zen]}":              "connect rcpt",
		"{zones: [zen], at: connect}": "connect",
		"{zones: [zen, dbl]}":         "connect helo mail rcpt",
		"{zones: [uribl], at: data}":  "connect mail data",
		"{zones: [{zone: x.example, check: [helo]}], at: helo}": "connect helo mail",
	} {
		env, _ := filtertest.Env("") // without a resolver, as where only the configuration is checked
		f := filtertest.New[filters.Filter](t, env, dnsbl.Kind, options)
		if got := filters.StagesOf(f).String(); got != want {
			t.Errorf("%s: %s, want %s", options, got, want)
		}
	}
}

// questions returns what is asked for a client of a sender at spam.example.
func questions(t *testing.T, options string) string {
	t.Helper()
	r := &recorder{Zone: filtertest.NewZone(t, "")}
	b := newBenchWith(t, options, r.Zone, func(e *filters.Env) { e.Resolver = r })
	b.meet(client4, "mail.spam.example", "a@spam.example")
	slices.Sort(r.asked)
	return strings.Join(r.asked, " ")
}

func TestNames(t *testing.T) {
	const addr = reverse4 + "."
	for options, want := range map[string]string{
		"{zones: [zen], threshold: 1}":                                                  addr + "zen.spamhaus.org",
		"{zones: [{zone: Zen.Spamhaus.Org.}], threshold: 1}":                            addr + "zen.spamhaus.org",
		"{zones: [{preset: zen, key: Abc}], threshold: 1}":                              addr + "abc.zen.dq.spamhaus.net",
		"{zones: [{preset: abusix, key: abc}], threshold: 1}":                           addr + "abc.combined.mail.abusix.zone",
		"{zones: [{preset: zen, zone: zen.mirror.example}], threshold: 1}":              addr + "zen.mirror.example",
		"{zones: [{zone: dbl.dq.spamhaus.net, key: a, check: [sender]}], threshold: 1}": "spam.example.a.dbl.dq.spamhaus.net",
		"{zones: [{zone: bl.example, key: abc}], threshold: 1}":                         addr + "abc.bl.example",
		"{zones: [{preset: dbl, check: [sender]}], threshold: 1}":                       "spam.example.dbl.spamhaus.org",
		"{zones: [abc.dbl.dq.spamhaus.net], threshold: 1}":                              "mail.spam.example.abc.dbl.dq.spamhaus.net spam.example.abc.dbl.dq.spamhaus.net",
		"{zones: [{zone: a.example, check: [client, sender]}], threshold: 1}":           addr + "a.example spam.example.a.example",
	} {
		if got := questions(t, options); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", options, got, want)
		}
	}
}

// TestPresets holds that every answer in the table counts what the table says,
// by the preset's name and by its zone's.
func TestPresets(t *testing.T) {
	for _, p := range dnsbl.Presets() {
		for _, a := range p.Answers {
			pattern, err := dnsbl.ParsePattern(a.Match)
			if err != nil {
				t.Fatal(err)
			}
			hit := ""
			for i := range 256 * 256 {
				addr := netip.AddrFrom4([4]byte{127, 0, byte(i % 4), byte(i / 256)})
				if pattern.Matches(addr) && addr.As4()[3] != 1 {
					hit = addr.String()
					break
				}
			}
			if strings.HasSuffix(a.Match, ".1") {
				hit = "127.0.2.1" // dnswl
			}
			zone := strings.ReplaceAll(p.Zone, "KEY", "k")
			records := ""
			for _, name := range []string{"2.0.0.127", "test", "dbltest.com", "test.surbl.org", "test.uribl.com"} {
				records += name + "." + zone + " A 127.0.0.2\n"
			}
			records += reverse4 + "." + zone + " A " + hit + "\nspam.example." + zone + " A " + hit
			env, _ := filtertest.Env("")
			env.Resolver = filtertest.NewZone(t, records)
			c := filtertest.Conf(t, dnsbl.Kind, "{zones: ["+zone+"]}").(*dnsbl.Config)
			out, err := dnsbl.Report(t.Context(), env, c, dnsbl.Subject{Client: netip.MustParseAddr(client4), Sender: "a@spam.example"})
			if err != nil || len(out.Zones) != 1 || out.Score != a.Weight || !strings.Contains(out.Zones[0].Meaning, a.Meaning) {
				t.Errorf("%s %s (%s): %+v, %v", p.Name, a.Match, hit, out, err)
			}
		}
	}
}

const key = "0badc0ffee0badc0ffee0badc0"

// TestKeysStaySecret looks for a key in all that leaves the filter.
func TestKeysStaySecret(t *testing.T) {
	for options, want := range map[string]string{
		`{zones: [{preset: zen, key: ` + key + `}], threshold: 1, reply: "{zone} {text}"}`:             "zen.dq.spamhaus.net",
		`{zones: [` + key + `.zen.dq.spamhaus.net], threshold: 1, reply: "{zone} {text}"}`:             "zen.dq.spamhaus.net",
		`{zones: [` + key + `.xyz.dq.spamhaus.net], threshold: 1, reply: "{zone} {text}"}`:             "***.xyz.dq.spamhaus.net",
		`{zones: [` + key + `.dq.spamhaus.net], threshold: 1, reply: "{zone} {text}"}`:                 "***.dq.spamhaus.net",
		`{zones: [{preset: abusix, key: ` + key + `}], threshold: 1, reply: "{zone} {text}"}`:          "combined.mail.abusix.zone",
		`{zones: [` + key + `.combined.mail.abusix.zone], threshold: 1, reply: "{zone} {text}"}`:       "combined.mail.abusix.zone",
		`{zones: [` + strings.ToUpper(key) + `.bl.example], threshold: 1, reply: "{zone} {text}"}`:     "***.bl.example",
		`{zones: [cust.` + key + `.bl.example], threshold: 1, reply: "{zone} {text}"}`:                 "cust.***.bl.example",
		`{zones: [{zone: bl.example, key: ` + key + `}], threshold: 1, reply: "{zone} {text}"}`:        "bl.example",
		`{zones: [{zone: ` + key + `.bl.example, label: mine}], threshold: 1, reply: "{zone} {text}"}`: "mine",
	} {
		for _, state := range []string{"listed", "listed, long", "error", "fails", "dead"} {
			env, log := filtertest.Env("")
			m := &meters{values: map[string]float64{}}
			env.Resolver, env.Metrics = leaky{state}, m
			c := filtertest.Conf(t, dnsbl.Kind, options).(*dnsbl.Config)
			f, err := dnsbl.Kind.New(env, c)
			if err != nil {
				t.Fatal(err)
			}
			b := &bench{Filter: f, log: log}
			shown := c.Zones[0].String()
			for range 6 {
				v := b.meet(client4, "", "a@example.com")
				shown += show(v)
				if v.Finding != nil {
					shown += v.Finding.Err.Error()
				}
			}
			shown += log.Take()
			for name := range m.values {
				shown += name
			}
			out, err := dnsbl.Report(t.Context(), env, c, dnsbl.Subject{Client: netip.MustParseAddr(client4)})
			health, errHealth := dnsbl.Health(t.Context(), env, c)
			for _, thing := range []any{out, err, health, errHealth} {
				shown += filtertestSprint(thing)
			}
			if strings.Contains(strings.ToLower(shown), key) || strings.Contains(strings.ToLower(shown), key[:6]) {
				t.Errorf("%s, %s: the key shows in\n%s", options, state, shown)
			}
			if !strings.Contains(shown, want) {
				t.Errorf("%s, %s: no %s in\n%s", options, state, want, shown)
			}
			if strings.HasPrefix(state, "listed") && !strings.Contains(shown, "reject") {
				t.Errorf("%s: nothing was refused:\n%s", options, shown)
			}
		}
	}
}
