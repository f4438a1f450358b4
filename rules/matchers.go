package rules

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/rules/strict"
)

// operators are what a map under a field may have, in the order of messages.
var operators = []string{"in", "is", "not", "matches", "contains", "above", "below", "exists"}

// matcher compiles what a field must be: a value, a list of them, or a map of
// operators. nil if that is wrong.
func (c *compiler) matcher(d *strict.Decoder, ref *fieldRef, n ast.Node, key string) *matcher {
	b := &matcherBuilder{c: c, d: d, ref: ref, key: key, m: &matcher{field: ref}}
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		entries, _ := d.Entries(n, key)
		if len(entries) == 0 {
			c.problem(n, key+": nothing is wanted of it", "known are "+strings.Join(operators, ", "))
			return nil
		}
		for _, e := range entries {
			b.operator(e)
		}
		b.checkRange(n)
	default:
		b.is(n)
	}
	if b.wrong {
		return nil
	}
	return c.share(b)
}

// share gives equal matchers one place.
func (c *compiler) share(b *matcherBuilder) *matcher {
	slices.Sort(b.source)
	b.m.source = strings.Join(b.source, ", ")
	spelt := b.ref.spelt + ": " + b.m.source
	if m := c.known[spelt]; m != nil {
		m.shared = true
		return m
	}
	if len(b.m.ops) == 1 && len(b.m.never) == 0 && b.m.exists == nil {
		b.m.only = b.m.ops[0]
	}
	b.m.id, b.m.slot = len(c.known), c.slot(b.ref)
	if isLearnt(b.ref) {
		b.m.keys = nil // the index would wait for it on behalf of rules that need not
	}
	c.known[spelt] = b.m
	return b.m
}

// isLearnt reports whether a field is a fact that others may still be learning.
func isLearnt(ref *fieldRef) bool {
	return ref.Type == Free || ref.Name == factName || ref.Name == factConfirmed
}

// sortMatchers puts the cheap ones first.
func sortMatchers(list []*matcher) {
	cost := func(m *matcher) int {
		n := m.cost
		if isLearnt(m.field) {
			n += 100
		}
		if m.field.Stage >= filters.EOH {
			n += 10
		}
		return n
	}
	slices.SortStableFunc(list, func(a, b *matcher) int { return cost(a) - cost(b) })
}

type matcherBuilder struct {
	c      *compiler
	d      *strict.Decoder
	ref    *fieldRef
	key    string // as the rule spells the field
	m      *matcher
	source []string
	wrong  bool
	low    *float64 // above
	high   *float64 // below
}

func (b *matcherBuilder) fail(n ast.Node, msg, hint string) {
	b.wrong = true
	b.c.problem(n, b.key+": "+msg, hint)
}

// operator compiles one entry of the map.
func (b *matcherBuilder) operator(e strict.Entry) {
	n, ok := b.d.Resolve(e.Value)
	if !ok {
		b.wrong = true
		return
	}
	if strict.IsNull(n) {
		b.fail(e.At, e.Key+" has no value", "")
		return
	}
	switch e.Key {
	case "in":
		b.in(n)
	case "is":
		b.is(n)
	case "not":
		if a, _, spelt := b.anyOf(n); a != nil {
			b.m.never = append(b.m.never, a)
			b.source = append(b.source, "not "+spelt)
		}
	case "matches":
		b.matches(n)
	case "contains":
		b.contains(n)
	case "above", "below":
		b.bound(e.Key, n)
	case "exists":
		b.exists(n)
	default:
		hint := strict.Suggest(e.Key, operators)
		if hint == "" {
			hint = "known are " + strings.Join(operators, ", ")
		}
		b.fail(e.At, fmt.Sprintf("unknown matcher %q", e.Key), hint)
	}
}

func (b *matcherBuilder) is(n ast.Node) {
	a, keys, spelt := b.anyOf(n)
	if a == nil {
		return
	}
	b.m.ops = append(b.m.ops, a)
	b.source = append(b.source, "is "+spelt)
	if !a.empty && a.locals == nil {
		b.m.keys = keys
	}
}

// in compiles the name of a list.
func (b *matcherBuilder) in(n ast.Node) {
	name, sort := strict.Scalar(n)
	if sort == strict.NoScalar {
		b.fail(n, "in: want the name of a list, got "+strict.NounOf(n), b.listHint(n))
		return
	}
	l := b.c.p.lists[name]
	if l == nil {
		b.fail(n, fmt.Sprintf("in: there is no list %q", name), b.missingList(name))
		return
	}
	l.used = true
	if !l.fitsType(b.ref.Type) {
		b.fail(n, fmt.Sprintf("in: the list %s holds %s, and %s is of type %v", name, l.sort, b.ref.spelt, b.ref.Type), "")
		return
	}
	b.m.ops = append(b.m.ops, inList{l})
	b.source = append(b.source, "in "+name)
	b.m.cost += 2
	if l.sort == sortPatterns {
		b.m.cost += 5
	}
	if b.m.keys == nil {
		b.m.keys = l.keys()
	}
}

func (b *matcherBuilder) listHint(n ast.Node) string {
	if _, ok := n.(*ast.SequenceNode); ok {
		return "leave in out, or name the list under lists"
	}
	return ""
}

func (b *matcherBuilder) missingList(name string) string {
	var all []string
	for l := range b.c.p.lists {
		all = append(all, l)
	}
	slices.Sort(all)
	if hint := strict.Suggest(name, all); hint != "" {
		return hint
	}
	return "name it under lists"
}

// keys are what the index files the list under, none if it is too great.
func (l *list) keys() []key {
	if l.inFiles || l.size > maxKeys {
		return nil
	}
	var keys []key
	for d, how := range l.domains {
		keys = append(keys, domainKey(d, how))
	}
	for w := range l.words {
		keys = append(keys, key{text: w, sort: keyText})
	}
	for _, p := range l.nets {
		keys = append(keys, key{prefix: p, sort: keyNet})
	}
	return keys
}

func domainKey(d string, how uint8) key {
	if how&andBelow != 0 {
		return key{text: d, sort: keyBelow}
	}
	return key{text: d, sort: keyDomain}
}

func (b *matcherBuilder) textual(op string, n ast.Node) (string, bool) {
	switch b.ref.Type {
	case Address:
		b.fail(n, op+" is for texts, and an address is none", "write a network, such as 192.0.2.0/24")
		return "", false
	case Number, Size, Bool:
		b.fail(n, fmt.Sprintf("%s is for texts, and %s is of type %v", op, b.ref.spelt, b.ref.Type), "")
		return "", false
	}
	text, sort := strict.Scalar(n)
	if sort == strict.NoScalar {
		b.fail(n, op+": want text, got "+strict.NounOf(n), "")
		return "", false
	}
	if text == "" {
		b.fail(n, op+": the text is empty, which every text has in it", "write exists: true")
		return "", false
	}
	return text, true
}

func (b *matcherBuilder) matches(n ast.Node) {
	text, ok := b.textual("matches", n)
	if !ok {
		return
	}
	re, err := parseExpression(text)
	if err != nil {
		b.fail(n, "matches: "+err.Error(), "")
		return
	}
	b.m.ops = append(b.m.ops, matches{re})
	b.source = append(b.source, "matches "+strconv.Quote(text))
	b.m.cost += 5
}

func (b *matcherBuilder) contains(n ast.Node) {
	text, ok := b.textual("contains", n)
	if !ok {
		return
	}
	b.m.ops = append(b.m.ops, newContains(text))
	b.source = append(b.source, "contains "+strconv.Quote(text))
	b.m.cost++
}

func newContains(text string) contains {
	part := appendLower(nil, text)
	return contains{part, octetsOf(part)}
}

// bound compiles above and below.
func (b *matcherBuilder) bound(op string, n ast.Node) {
	if !b.ref.Type.numeric() && b.ref.Type != Free {
		b.fail(n, fmt.Sprintf("%s is for numbers, and %s is of type %v", op, b.ref.spelt, b.ref.Type), "")
		return
	}
	number, ok := b.number(n)
	if !ok {
		return
	}
	spelt, _ := strict.Scalar(n)
	b.source = append(b.source, op+" "+spelt)
	if op == "above" {
		b.low = &number
		b.m.ops = append(b.m.ops, above{number})
		return
	}
	b.high = &number
	b.m.ops = append(b.m.ops, below{number})
}

func (b *matcherBuilder) checkRange(n ast.Node) {
	if b.low != nil && b.high != nil && *b.low >= *b.high {
		b.fail(n, "no number is above the one and below the other", "")
	}
}

// number reads an amount.
func (b *matcherBuilder) number(n ast.Node) (float64, bool) {
	text, sort := strict.Scalar(n)
	if b.ref.Type == Size && (sort == strict.AText || sort == strict.ANumber) {
		var size filters.Bytes
		if err := size.UnmarshalText([]byte(text)); err != nil {
			b.fail(n, err.Error(), "")
			return 0, false
		}
		return float64(size), true
	}
	number, err := strconv.ParseFloat(text, 64)
	if sort != strict.ANumber || err != nil {
		b.fail(n, "want a number, got "+strict.NounOf(n), "")
		return 0, false
	}
	return number, true
}

func (b *matcherBuilder) exists(n ast.Node) {
	text, sort := strict.Scalar(n)
	if sort != strict.ABool {
		b.fail(n, "exists: want true or false, got "+strict.NounOf(n), "")
		return
	}
	switch b.ref.Type {
	case Address, Number, Size, Bool:
		b.fail(n, fmt.Sprintf("exists: %s is always there", b.ref.spelt), "leave it out")
		return
	}
	yes := text == "true"
	b.m.exists = &yes
	b.source = append(b.source, "exists "+text)
}
