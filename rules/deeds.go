package rules

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/rules/strict"
)

// texts reads a text or a list of them.
func (f *effects) texts(key string, n ast.Node) []Word {
	nodes := []ast.Node{n}
	if list, ok := n.(*ast.SequenceNode); ok {
		nodes = list.Values
		if len(nodes) == 0 {
			f.c.problem(n, key+": the list is empty", "")
		}
	}
	var words []Word
	for _, item := range nodes {
		item, ok := f.raw.d.Resolve(item)
		if !ok {
			continue
		}
		text, sort := strict.Scalar(item)
		if sort == strict.NoScalar {
			f.c.problem(item, key+": want text, got "+strict.NounOf(item), "")
			continue
		}
		words = append(words, Word{text, item})
	}
	return words
}

// fields reads header fields: one, or a list.
func (f *effects) fields(key string, n ast.Node) []edit {
	nodes := []ast.Node{n}
	if list, ok := n.(*ast.SequenceNode); ok {
		nodes = list.Values
	}
	var list []edit
	for _, item := range nodes {
		item, ok := f.raw.d.Resolve(item)
		if !ok {
			continue
		}
		if text, sort := strict.Scalar(item); sort != strict.NoScalar {
			hint := ""
			if name, value, ok := strings.Cut(text, ":"); ok {
				hint = fmt.Sprintf("write {name: %s, value: %q}", name, strings.TrimSpace(value))
			}
			f.c.problem(item, key+": want a map with name and value, got "+strict.NounOf(item), hint)
			continue
		}
		var h HeaderField
		f.raw.d.Into(item, &h, key)
		if h.Name.at == nil || h.Value.at == nil {
			continue
		}
		if !filters.IsFieldName(h.Name.Text) {
			f.c.problem(h.Name.at, key+": "+quote(h.Name.Text)+" is no field name", "")
		}
		if len(h.Value.Text) > maxValue || strings.ContainsFunc(h.Value.Text, func(c rune) bool { return c < ' ' || c > '~' }) {
			f.c.problem(h.Value.at, fmt.Sprintf("%s: want a value of one line of ASCII text, of at most %d octets", key, maxValue), "")
		}
		list = append(list, edit{h.Name.Text, f.template(h.Value)})
	}
	return list
}

func (f *effects) score(n ast.Node) int {
	text, sort := strict.Scalar(n)
	score, err := strconv.Atoi(text)
	if sort != strict.ANumber || err != nil || score < -maxScore || score > maxScore || score == 0 {
		f.c.problem(n, fmt.Sprintf("score: want a whole number from -%d to %d, not 0, got %s", maxScore, maxScore, strict.NounOf(n)), "")
		return 0
	}
	return score
}

func (f *effects) delay(n ast.Node) time.Duration {
	text, sort := strict.Scalar(n)
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		hint := ""
		if sort == strict.ANumber {
			hint = "write " + text + "s"
		}
		f.c.problem(n, "delay: want a duration such as 5s, got "+strict.NounOf(n), hint)
		return 0
	case d <= 0 || d > maxDelay:
		f.c.problem(n, fmt.Sprintf("delay: want a duration up to %v, got %s", maxDelay, text), "")
		return 0
	}
	if limit := f.c.options.Env.Timeout; limit > 0 && d >= limit {
		f.c.problem(n, fmt.Sprintf("delay: %v is not less than the timeout of the entry, %v", d, limit), "")
	}
	return d
}

// path reads an address to send to.
func (f *effects) path(key string, w Word) string {
	local, domain, ok := strings.Cut(w.Text, "@")
	bad := func(c rune) bool { return c <= ' ' || c > '~' || strings.ContainsRune(`<>"()[]\,;:@`, c) }
	if !ok || local == "" || strings.ContainsFunc(local, bad) || !isDomain(string(foldDomain(appendLower(nil, domain)))) {
		f.c.problem(w.at, key+": "+quote(w.Text)+" is no address such as user@example.com", "")
		return "<>"
	}
	return "<" + w.Text + ">"
}
