package rules

import (
	"bytes"
	"net/netip"
	"regexp"
	"strconv"

	"github.com/mailweir/mailweir/filters/ipset"
)

// matcher is a test of one field, compiled. Equal ones are the same throughout
// a policy and tested once in an evaluation.
type matcher struct {
	id     int
	slot   int
	field  *fieldRef
	ops    []operator // one value must pass all of them
	never  []operator // and no value any of these
	exists *bool      // whether there must be a value
	source string     // canonical spelling, for messages and to find equals
	cost   int
	shared bool     // several rules have it: what it finds is kept
	only   operator // the one there is, if that is all there is to test

	// keys are what one of the values must be for the matcher to hold, for
	// the index; none when that cannot be said.
	keys []key
}

// operator tests one value.
type operator interface {
	pass(e *evaluation, v *value) bool
	passNone() bool // whether a field without a value passes
}

// holds tests the field. An error is left in e.
func (m *matcher) holds(e *evaluation) bool {
	if !m.shared {
		return m.test(e)
	}
	const yes, no = 1, 2
	switch e.memo[m.id] {
	case yes:
		return true
	case no:
		return false
	}
	ok := m.test(e)
	e.memo[m.id] = no
	if ok {
		e.memo[m.id] = yes
	}
	return ok
}

func (m *matcher) test(e *evaluation) bool {
	r := e.read(m.slot)
	if r.err != nil {
		e.err = r.err
		return false
	}
	if m.only != nil && len(r.values) == 1 {
		return m.only.pass(e, &r.values[0])
	}
	if m.exists != nil && *m.exists != (len(r.values) > 0) {
		return false
	}
	for _, op := range m.never {
		if len(r.values) == 0 && op.passNone() {
			return false
		}
		for i := range r.values {
			if op.pass(e, &r.values[i]) {
				return false
			}
		}
	}
	return m.passes(e, r)
}

// passes looks for a value that passes all.
func (m *matcher) passes(e *evaluation, r *reading) bool {
	if len(m.ops) == 0 {
		return true
	}
	if len(r.values) == 0 {
		for _, op := range m.ops {
			if !op.passNone() {
				return false
			}
		}
		return true
	}
next:
	for i := range r.values {
		for _, op := range m.ops {
			if !op.pass(e, &r.values[i]) {
				continue next
			}
		}
		return true
	}
	return false
}

// anyOf is a value, or a list of them, as it stands in a rule.
type anyOf struct {
	empty   bool            // "" is among them
	texts   map[string]bool // folded
	locals  map[string]bool // folded local parts, of mailboxes at any domain
	domains names           // for domains, and mailboxes by their domain
	nets    *ipset.Set
	bools   [2]bool // false, true
	numbers []float64
}

func (a *anyOf) passNone() bool { return a.empty }

func (a *anyOf) pass(e *evaluation, v *value) bool {
	switch v.kind {
	case Address:
		return a.nets != nil && a.nets.Contains(v.addr)
	case Bool:
		return a.bools[int(v.num)] || a.texts != nil && a.texts[strconv.FormatBool(v.num != 0)]
	case Number, Size:
		for _, n := range a.numbers {
			if n == v.num {
				return true
			}
		}
		return false
	}
	if v.text == "" {
		return a.empty
	}
	e.fold(v)
	return a.texts[string(v.low)] || a.domains != nil && a.domains.has(v.domain) || a.locals != nil && a.localOf(v)
}

func (a *anyOf) localOf(v *value) bool {
	local := v.low
	if at := bytes.LastIndexByte(local, '@'); at >= 0 { // <postmaster> has none
		local = local[:at]
	}
	return a.locals[string(local)]
}

type inList struct{ *list }

func (inList) passNone() bool                      { return false }
func (l inList) pass(e *evaluation, v *value) bool { return l.has(e, v) }

type matches struct{ *regexp.Regexp }

func (m matches) passNone() bool                    { return m.MatchString("") }
func (m matches) pass(_ *evaluation, v *value) bool { return m.MatchString(v.text) }

type contains struct {
	part   []byte // folded
	octets uint64 // in it
}

func (contains) passNone() bool { return false }
func (c contains) pass(e *evaluation, v *value) bool {
	e.fold(v)
	return v.octets&c.octets == c.octets && bytes.Contains(v.low, c.part)
}

type above struct{ n float64 }

func (above) passNone() bool                      { return false }
func (a above) pass(_ *evaluation, v *value) bool { return isNumber(v) && v.num > a.n }

type below struct{ n float64 }

func (below) passNone() bool                      { return false }
func (b below) pass(_ *evaluation, v *value) bool { return isNumber(v) && v.num < b.n }

func isNumber(v *value) bool { return v.kind == Number || v.kind == Size }

// show spells a value for messages.
func (v *value) show() string {
	switch v.kind {
	case Address:
		return v.addr.String()
	case Number, Size:
		return strconv.FormatFloat(v.num, 'f', -1, 64)
	case Bool:
		return strconv.FormatBool(v.num != 0)
	}
	return strconv.Quote(cut(v.text, 80))
}

// key is one thing that an index files rules under.
type key struct {
	text   string // folded; a domain if below is set, or ofDomain
	prefix netip.Prefix
	sort   keySort
}

type keySort uint8

const (
	keyText   keySort = iota // the whole value
	keyDomain                // the value's domain
	keyBelow                 // the value's domain, or one above it
	keyNet                   // a network
)
