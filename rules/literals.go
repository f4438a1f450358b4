package rules

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/mailweir/mailweir/filters/ipset"
	"github.com/mailweir/mailweir/rules/strict"
)

// anyOf compiles a value or a list of values; nil if one of them is wrong.
func (b *matcherBuilder) anyOf(n ast.Node) (*anyOf, []key, string) {
	nodes := []ast.Node{n}
	if list, ok := n.(*ast.SequenceNode); ok {
		nodes = list.Values
		if len(nodes) == 0 {
			b.fail(n, "the list is empty, so that nothing can match", "")
			return nil, nil, ""
		}
	}
	a := &anyOf{}
	v := &valueList{b: b, a: a}
	var spelt []string
	for _, item := range nodes {
		item, ok := b.d.Resolve(item)
		if !ok {
			b.wrong = true
			continue
		}
		text, sort := strict.Scalar(item)
		if sort == strict.NoScalar {
			b.fail(item, "want "+b.ref.Type.wanted()+", got "+strict.NounOf(item), "")
			continue
		}
		v.add(item, text, sort)
		spelt = append(spelt, strconv.Quote(text))
	}
	if b.wrong {
		return nil, nil, ""
	}
	if v.nets != nil {
		a.nets = ipset.Of(v.nets)
	}
	return a, v.keys, strings.Join(spelt, " or ")
}

// wanted says what values of a type look like.
func (t Type) wanted() string {
	return [...]string{
		"text",
		"a domain such as example.com, or .example.com for it and all below it",
		"an address such as user@example.com, or a domain for all in it",
		"an address or a network such as 192.0.2.0/24",
		"a number",
		"a size such as 10MiB",
		"true or false",
		"text, a number, or true or false",
	}[t]
}

// valueList collects the values that stand under one field.
type valueList struct {
	b    *matcherBuilder
	a    *anyOf
	nets []ipset.Net
	keys []key
}

// add takes one value.
func (v *valueList) add(n ast.Node, text string, sort string) {
	b, a := v.b, v.a
	switch t := b.ref.Type; {
	case t == Address:
		p, err := ipset.Parse(text)
		if err != nil {
			b.fail(n, err.Error(), b.addressHint(text))
			return
		}
		v.nets = append(v.nets, ipset.Net{Prefix: p})
		v.keys = append(v.keys, key{prefix: p, sort: keyNet})
	case t.numeric():
		if number, ok := b.number(n); ok {
			a.numbers = append(a.numbers, number)
		}
	case t == Bool:
		v.flag(n, text, sort)
	case text == "":
		a.empty = true
	case t == Domain:
		v.domain(n, text)
	case t == Mailbox:
		v.mailbox(n, text)
	case t == Free && sort == strict.ANumber:
		if number, ok := b.number(n); ok {
			a.numbers = append(a.numbers, number)
		}
		v.text(text)
	default:
		v.text(text)
	}
}

func (b *matcherBuilder) addressHint(text string) string {
	if b.c.p.lists[text] != nil {
		return "write {in: " + text + "} for the list"
	}
	if _, err := netip.ParseAddrPort(text); err == nil {
		return "leave the port out"
	}
	return ""
}

func (v *valueList) flag(n ast.Node, text string, sort string) {
	if sort != strict.ABool {
		hint := ""
		switch strings.ToLower(text) {
		case "yes", "on", "1":
			hint = "write true"
		case "no", "off", "0":
			hint = "write false"
		}
		v.b.fail(n, "want true or false, got "+strict.NounOf(n), hint)
		return
	}
	i := 0
	if text == "true" {
		i = 1
	}
	v.a.bools[i] = true
}

func (v *valueList) text(text string) {
	low := string(appendLower(nil, text))
	if v.a.texts == nil {
		v.a.texts = map[string]bool{}
	}
	v.a.texts[low] = true
	v.keys = append(v.keys, key{text: low, sort: keyText})
}

func (v *valueList) domain(n ast.Node, text string) {
	if strings.HasPrefix(text, "[") { // an address literal
		v.text(text)
		return
	}
	p, err := parsePattern(text)
	if err != nil {
		v.b.fail(n, err.Error(), v.b.patternHint(text))
		return
	}
	if v.a.domains == nil {
		v.a.domains = names{}
	}
	v.a.domains.add(p)
	how := exactly
	if p.below {
		how = andBelow
	}
	v.keys = append(v.keys, domainKey(p.domain, how))
}

func (b *matcherBuilder) patternHint(text string) string {
	if !strings.HasPrefix(text, "*.") && strings.ContainsAny(text, "*^$\\()|") {
		return "write {matches: ...} for a regular expression"
	}
	return ""
}

func (v *valueList) mailbox(n ast.Node, text string) {
	local, domain, ok := strings.Cut(text, "@")
	switch {
	case ok && local == "":
		v.b.fail(n, quote(text)+" is no address", "write "+domain+" for all addresses in it")
	case ok && domain == "":
		if v.a.locals == nil {
			v.a.locals = map[string]bool{}
		}
		v.a.locals[string(appendLower(nil, local))] = true
	case ok && strings.ContainsAny(text, "<> "):
		v.b.fail(n, quote(text)+" is no address", "write it without angle brackets")
	case ok:
		v.text(text)
	case !strings.Contains(text, "."):
		v.b.fail(n, quote(text)+" is neither an address nor a domain", "write "+text+"@ for that local part at any domain")
	default:
		v.domain(n, text)
	}
}
