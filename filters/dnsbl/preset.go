package dnsbl

import (
	"slices"
	"strings"
)

// preset is a well-known list, as its operator describes it.
type preset struct {
	name     string
	zone     string // "" if there is none without a key
	keyed    string // follows the customer's key; "" if there are no keys
	about    string
	checks   []Check
	ipv6     bool
	test     string // a listed domain, where the list has not that of RFC 5782 section 5
	untried  bool   // of IPv6 there is no known entry that is listed for tests
	answers  []row
	errors   []row // answers that are no listings, but tell that something is wrong,
	misasked []row // and those that tell that of the question
}

// row is what one kind of answers means.
type row struct {
	match   string
	weight  int
	meaning string
}

var (
	byClient = []Check{CheckClient}
	bySender = []Check{CheckSender}
	byDomain = []Check{CheckHelo, CheckSender}
)

// presets is the table. The weights are ours, for a threshold of 4: 4 is
// evidence enough, less needs another list.
var presets = []preset{
	{
		// docs.spamhaus.com, "Available Zones"
		name: "zen", zone: "zen.spamhaus.org", keyed: "zen.dq.spamhaus.net", checks: byClient, ipv6: true,
		about: "Spamhaus ZEN: SBL, CSS, XBL, DROP, PBL in one",
		answers: []row{
			{"127.0.0.2", 4, "SBL, a source of spam"},
			{"127.0.0.3", 3, "CSS, a source of spam of low reputation"},
			{"127.0.0.[4..7]", 4, "XBL, an infected or abused machine"},
			{"127.0.0.9", 4, "DROP, a network of criminals"},
			{"127.0.0.[10;11]", 4, "PBL, end users, who send no mail by themselves"},
			{"127.0.0.30", 4, "BCL, a botnet controller"},
		},
	},
	{
		// docs.spamhaus.com, "Available Zones"; the test domain from the list's FAQ
		name: "dbl", zone: "dbl.spamhaus.org", keyed: "dbl.dq.spamhaus.net", checks: byDomain, test: "dbltest.com",
		about: "Spamhaus DBL: domains of spam, phishing and malware",
		answers: []row{
			{"127.0.1.2", 4, "a domain of spammers"},
			{"127.0.1.4", 4, "a domain for phishing"},
			{"127.0.1.5", 4, "a domain with malware"},
			{"127.0.1.6", 4, "a domain of a botnet"},
			{"127.0.1.[102..106]", 2, "an honest domain that is being abused"},
		},
		misasked: []row{{"127.0.1.255", 0, "it was asked about an address"}},
	},
	{
		name: "spamcop", zone: "bl.spamcop.net", checks: byClient, // spamcop.net/bl.shtml: "aggressive"
		about:   "SpamCop: sources of reported spam, of the last day",
		answers: []row{{"127.0.0.2", 2, "a source of reported spam"}},
	},
	{
		name: "barracuda", zone: "b.barracudacentral.org", checks: byClient, // barracudacentral.org/rbl/how-to-use
		about:   "Barracuda BRBL: register your resolver's address first",
		answers: []row{{"127.0.0.2", 3, "a source of spam"}},
	},
	{
		// docs.abusix.com, "Production Zones"
		name: "abusix", keyed: "combined.mail.abusix.zone", checks: byClient, ipv6: true,
		about: "Abusix combined: sources of spam, exploited machines, end users; needs a key",
		answers: []row{
			{"127.0.0.[2;3;200]", 4, "a source of spam"},
			{"127.0.0.4", 4, "an infected or abused machine"},
			{"127.0.0.[11;12]", 3, "end users, who send no mail by themselves"},
		},
	},
	{
		// mailspike.org/usage.html; the levels as SpamAssassin and rspamd have them
		name: "mailspike", zone: "bl.mailspike.net", checks: byClient,
		about: "Mailspike: spam waves under way, and bad reputation",
		answers: []row{
			{"127.0.0.2", 3, "part of a wave of spam"},
			{"127.0.0.10", 3, "the worst reputation"},
			{"127.0.0.11", 2, "a very bad reputation"},
			{"127.0.0.12", 1, "a bad reputation"},
		},
	},
	{
		name: "psbl", zone: "psbl.surriel.com", checks: byClient, // psbl.org/howto
		about:   "PSBL: sources of mail to spam traps",
		answers: []row{{"127.0.0.2", 2, "it has sent mail to a spam trap"}},
	},
	{
		name: "sem", zone: "bl.spameatingmonkey.net", checks: byClient, // spameatingmonkey.com/faq.html
		about:   "Spam Eating Monkey SEM-BLACK: for scores, its operators say",
		answers: []row{{"127.0.0.2", 1, "it has sent mail to a spam trap"}},
	},
	{
		name: "s5h", zone: "all.s5h.net", checks: byClient, ipv6: true, // s5h.net/rblcheck: "fully RFC 5782 compliant"
		about:   "S5H: sources of spam and abuse",
		answers: []row{{"127.0.0.2", 1, "a source of spam or abuse"}},
	},
	{
		name: "uceprotect", zone: "dnsbl-1.uceprotect.net", checks: byClient, // uceprotect.net; levels 2 and 3 list whole networks
		about:   "UCEPROTECT level 1: single addresses only",
		answers: []row{{"127.0.0.2", 1, "a source of spam"}},
	},
	{
		// abuse.ro
		name: "abusero", zone: "rbl.abuse.ro", checks: byClient,
		about: "abuse.ro: sources of spam",
		answers: []row{
			{"127.0.0.2", 2, "a source of spam"},
			{"127.0.0.3", 2, "an abused or infected machine"},
			{"127.0.0.4", 1, "a network with sources of spam"},
		},
	},
	{
		// dronebl.org/docs/howtouse; the classes as domaincare.io/blacklists/dronebl has them
		name: "dronebl", zone: "dnsbl.dronebl.org", checks: byClient,
		about: "DroneBL: drones, proxies, attackers",
		answers: []row{
			{"127.0.0.[3;5;6;10;11;16]", 2, "an infected or abused machine"},
			{"127.0.0.[8;9]", 2, "an open proxy"},
			{"127.0.0.13", 2, "it has guessed passwords"},
			{"127.0.0.14", 0, "an open resolver"},
		},
	},
	{
		// surbl.org, "Lists" and "Implementation Guidelines": bits, and the test point
		name: "surbl", zone: "multi.surbl.org", checks: bySender, test: "test.surbl.org",
		about: "SURBL: domains that spam links to; made for links, weak evidence about senders",
		answers: []row{
			{"127.0.0.&8", 2, "a domain for phishing"},
			{"127.0.0.&16", 2, "a domain with malware"},
			{"127.0.0.&64", 2, "a domain that spam links to"},
			{"127.0.0.&128", 1, "a site that was broken into"},
		},
		errors: []row{{"127.0.0.&1", 0, "it refuses our questions: ask from a resolver of your own, or less"}},
	},
	{
		// uribl.com/about.shtml and refused.shtml
		name: "uribl", zone: "multi.uribl.com", checks: bySender, test: "test.uribl.com",
		about: "URIBL: domains that spam links to; made for links, weak evidence about senders",
		answers: []row{
			{"127.0.0.&2", 2, "black, a domain of spammers"},
			{"127.0.0.&4", 0, "grey, a domain of bulk mail"},
			{"127.0.0.&8", 1, "red, a domain that is young or hides its owner"},
		},
		errors: []row{{"127.0.0.&1", 0, "it refuses our questions: ask from a resolver of your own, or less"}},
	},
	{
		// dnswl.org, "Return codes"
		name: "dnswl", zone: "list.dnswl.org", checks: byClient, ipv6: true, untried: true,
		about: "DNSWL: known mail servers, by how far they are trusted",
		answers: []row{
			{"127.0.*.0", -1, "a known mail server"},
			{"127.0.*.1", -2, "a mail server with low trust"},
			{"127.0.*.2", -4, "a mail server with medium trust"},
			{"127.0.*.3", -8, "a mail server with high trust"},
		},
		errors: []row{{"127.0.*.255", 0, "it refuses our questions: ask from a resolver of your own, or less"}},
	},
	{
		// mailspike.org/usage.html: "never be used exclusively for whitelisting"
		name: "mailspike-wl", zone: "wl.mailspike.net", checks: byClient,
		about: "Mailspike: good reputation",
		answers: []row{
			{"127.0.0.[17;18]", -1, "a good reputation"},
			{"127.0.0.[19;20]", -2, "a very good reputation"},
		},
	},
}

// Preset describes a list that the configuration may name.
type Preset struct {
	Name    string
	Zone    string // with KEY where the customer's key goes, if it cannot do without
	Keyed   string // its zone for customers, with KEY; "" for none
	About   string
	Check   []Check
	IPv4    bool
	IPv6    bool
	Answers []PresetAnswer
}

// PresetAnswer is what one kind of answers means and counts.
type PresetAnswer struct {
	Match   string
	Weight  int
	Meaning string
}

// Presets returns the lists that are known by name.
func Presets() []Preset {
	list := make([]Preset, 0, len(presets))
	for _, p := range presets {
		out := Preset{Name: p.name, Zone: p.zone, About: p.about, Check: slices.Clone(p.checks), IPv6: p.ipv6}
		out.IPv4 = slices.Contains(p.checks, CheckClient)
		if p.keyed != "" {
			out.Keyed = "KEY." + p.keyed
		}
		if out.Zone == "" {
			out.Zone = out.Keyed
		}
		for _, r := range p.answers {
			out.Answers = append(out.Answers, PresetAnswer{r.match, r.weight, r.meaning})
		}
		list = append(list, out)
	}
	return list
}

// presetNamed returns the preset of that name, or nil.
func presetNamed(name string) *preset {
	for i := range presets {
		if presets[i].name == name {
			return &presets[i]
		}
	}
	return nil
}

// presetOf returns the preset of a zone, with or without a key, or nil.
func presetOf(zone string) *preset {
	for i := range presets {
		p := &presets[i]
		if zone == p.zone || zone == p.keyed || p.keyed != "" && strings.HasSuffix(zone, "."+p.keyed) {
			return p
		}
	}
	return nil
}

func presetNames() string {
	var names []string
	for _, p := range presets {
		names = append(names, p.name)
	}
	return strings.Join(names, ", ")
}
