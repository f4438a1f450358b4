package dnsbl

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/mailweir/mailweir/filters/internal/domains"
)

// zone is a list, ready to be asked.
type zone struct {
	name     string // without a final dot, in lower case; may hold a key
	shown    string // how others may read it
	secrets  []string
	checks   []Check
	ipv4     bool
	ipv6     bool
	rules    []rule
	once     bool // a listing counts weight, whatever its answers
	weight   int
	refusals []rule // answers by which the list says that it does not answer
	one      bool   // 127.0.0.1 is an answer like others
	selfTest bool
	test     string // a domain that is listed for tests
	untried  bool   // see preset
	reply    *template
	lists    [families]*list
}

// rule is what the answers of a pattern count.
type rule struct {
	Pattern
	weight  int
	meaning string
	ours    bool // the question is wrong that is answered so
}

// maxRules is how many patterns a zone may have: a mask has a bit for each.
const maxRules = 64

// resolve returns what a zone of the configuration names: its preset, nil for
// none, and the name that is to be asked.
func resolve(z Zone) (*preset, string, error) {
	name := strings.ToLower(strings.TrimSuffix(z.Zone, "."))
	p := presetNamed(name)
	switch {
	case p != nil && z.Preset == "":
		name = ""
	case z.Preset != "":
		if p = presetNamed(strings.ToLower(z.Preset)); p == nil {
			return nil, name, fmt.Errorf("there is no preset %+.40q; known are %s", z.Preset, presetNames())
		}
	case name == "":
		return nil, "", errors.New("neither a zone nor a preset is named")
	case !strings.Contains(name, "."):
		shown, _ := maskKeys(name)
		return nil, "", fmt.Errorf("%+.40q is neither a zone nor a preset; known presets are %s", shown, presetNames())
	default:
		p = presetOf(name)
	}
	name, err := keyedName(z, p, name)
	if err == nil && (!domains.Valid(name, true) || !strings.Contains(name, ".") || len(name) > maxZone) {
		err = errors.New("the zone, with its key, is not a domain name of two labels or more and up to 180 characters")
	}
	return p, name, err
}

// maxZone leaves room for the 64 octets of an IPv6 address in a name of 253
// octets (RFC 1035 section 2.3.4, RFC 5782 section 2.4).
const maxZone = 180

// keyedName puts the key before the zone's name. name is "" where that is the
// preset's.
func keyedName(z Zone, p *preset, name string) (string, error) {
	key := strings.ToLower(z.Key)
	switch {
	case key != "" && !domains.Valid(key, true):
		return "", errors.New("the key has characters that no domain name has")
	case p != nil && name != "" && name == p.keyed && key == "":
		return "", fmt.Errorf("%s needs a key", name)
	case name != "" && key == "":
		return name, nil
	case p != nil && (name == "" || name == p.zone):
		switch {
		case key != "" && p.keyed == "":
			return "", fmt.Errorf("preset %s has no zone with keys", p.name)
		case key != "":
			return key + "." + p.keyed, nil
		case p.zone == "":
			return "", fmt.Errorf("preset %s needs a key", p.name)
		}
		return p.zone, nil
	}
	return key + "." + name, nil
}

// newZone makes a zone of what the configuration says, and reports all that is
// wrong with it.
func newZone(c Zone, fallback *template) (*zone, error) {
	p, name, err := resolve(c)
	if err != nil {
		return nil, err
	}
	z := &zone{name: name, selfTest: c.SelfTest, reply: fallback, weight: 1, checks: byClient, ipv4: true, test: "test"}
	z.shown, z.secrets = shownName(c)
	if p != nil {
		z.take(p)
	}
	if c.Weight != nil {
		z.weight, z.once = *c.Weight, true
	}
	if len(c.Check) > 0 {
		z.checks = slices.Clone(c.Check)
	}
	if c.IPv4 != nil {
		z.ipv4 = *c.IPv4
	}
	if c.IPv6 != nil {
		z.ipv6 = *c.IPv6
	}
	if err := errors.Join(z.setAnswers(c), z.setReply(c), z.check(p)); err != nil {
		return nil, err
	}
	z.one = slices.ContainsFunc(z.rules, func(r rule) bool { return r.spells(never4) })
	return z, nil
}

// take takes over what the preset says.
func (z *zone) take(p *preset) {
	z.checks, z.ipv6, z.untried = p.checks, p.ipv6, p.untried
	z.ipv4 = slices.Contains(p.checks, CheckClient)
	if p.test != "" {
		z.test = p.test
	}
	z.rules, z.refusals = compile(p.answers), compile(p.errors)
	for _, r := range compile(p.misasked) {
		r.ours = true
		z.refusals = append(z.refusals, r)
	}
}

func compile(rows []row) []rule {
	var rules []rule
	for _, r := range rows {
		p, err := ParsePattern(r.match)
		if err != nil {
			panic(err) // the table is ours
		}
		rules = append(rules, rule{Pattern: p, weight: r.weight, meaning: r.meaning})
	}
	return rules
}

func (z *zone) setAnswers(c Zone) error {
	if len(c.Answers) == 0 {
		if len(z.rules) == 0 {
			z.rules = compile([]row{{match: "127.0.0.0/8"}})
			z.once = true
		}
		return nil
	}
	if len(c.Answers) > maxRules {
		return fmt.Errorf("answers: at most %d are possible", maxRules)
	}
	z.rules, z.once = nil, false
	for _, a := range c.Answers {
		if a.Match.IsZero() {
			return errors.New("answers: match is missing")
		}
		r := rule{Pattern: a.Match, weight: z.weight, meaning: printable(a.Meaning, maxText)}
		if a.Weight != nil {
			r.weight = *a.Weight
		}
		z.rules = append(z.rules, r)
	}
	return nil
}

func (z *zone) setReply(c Zone) (err error) {
	if c.Reply == "" {
		return nil
	}
	if z.reply, err = parseTemplate(c.Reply); err != nil {
		return fmt.Errorf("reply: %w", err)
	}
	return nil
}

// check reports what no list can be.
func (z *zone) check(p *preset) error {
	var errs []error
	for _, c := range z.checks {
		if err := oneOf(string(c), checks); err != nil {
			errs = append(errs, fmt.Errorf("check: %w", err))
		}
	}
	byAddress := z.asks(CheckClient)
	switch {
	case byAddress && p != nil && !slices.Contains(p.checks, CheckClient):
		errs = append(errs, fmt.Errorf("check: %s is a list of domains, and may not be asked about addresses", p.name))
	case byAddress && !z.ipv4 && !z.ipv6:
		errs = append(errs, errors.New("check: neither ipv4 nor ipv6 is on, so that no client can be asked about"))
	case p != nil && slices.Contains(p.checks, CheckClient) && slices.ContainsFunc(z.checks, Check.byName):
		errs = append(errs, fmt.Errorf("check: %s is a list of addresses, and knows no domains", p.name))
	}
	return errors.Join(errs...)
}

func (c Check) byName() bool { return c != CheckClient }

// asks reports whether the list is asked about that.
func (z *zone) asks(c Check) bool { return slices.Contains(z.checks, c) }

// listFor returns the list to ask about an address, nil for none.
func (z *zone) listFor(a netip.Addr) *list {
	if a.Is4() {
		return z.lists[ipv4]
	}
	return z.lists[ipv6]
}

// counts returns what the answers of the mask count together.
func (z *zone) counts(mask uint64) (sum int) {
	if z.once {
		if mask != 0 {
			return z.weight
		}
		return 0
	}
	for i, r := range z.rules {
		if mask&(1<<i) != 0 {
			sum += r.weight
		}
	}
	return sum
}

// span returns between what the count may still come to lie.
func (z *zone) span(mask uint64) (low, high int) {
	if z.once {
		if mask != 0 {
			return z.weight, z.weight
		}
		return min(z.weight, 0), max(z.weight, 0)
	}
	low = z.counts(mask)
	high = low
	for i, r := range z.rules {
		if mask&(1<<i) == 0 {
			low += min(r.weight, 0)
			high += max(r.weight, 0)
		}
	}
	return low, high
}

// meaning returns what the answers of the mask mean, the gravest first.
func (z *zone) meaning(mask uint64) string {
	var hit []rule
	for i, r := range z.rules {
		if mask&(1<<i) != 0 && r.meaning != "" {
			hit = append(hit, r)
		}
	}
	slices.SortStableFunc(hit, func(a, b rule) int { return abs(b.weight) - abs(a.weight) })
	var words []string
	for _, r := range hit {
		words = append(words, r.meaning)
	}
	return strings.Join(words, "; ")
}

func abs(n int) int { return max(n, -n) }
