package rules

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/rules/strict"
)

// verdicts are the words for what a rule may decide. ignore ends the rules
// without a verdict.
var verdicts = []string{"accept", "reject", "tempfail", "discard", "quarantine", "hangup", "ignore"}

// deeds are what a rule may do besides.
var deeds = []string{"add_header", "replace_header", "remove_header", "tag", "score", "delay", "redirect", "add_recipient"}

var actions = map[string]filters.Action{
	"accept": filters.Accept, "reject": filters.Reject, "tempfail": filters.TempFail,
	"discard": filters.Discard, "quarantine": filters.Quarantine, "hangup": filters.Hangup,
}

// Bounds of what a rule may do.
const (
	maxDelay = 30 * time.Second // clients wait 5 minutes for a reply (RFC 5321 section 4.5.3.2), but hold a session meanwhile
	maxScore = 1000
	maxValue = 900 // octets of a field's value, of a line of 998 (RFC 5322 section 2.1.1)
)

// Reply is how a refusal may be spelt.
type Reply struct {
	Code     Word `yaml:"code" doc:"the reply code: 5xx for reject, 4xx for tempfail, 421 or 521 for hangup"`
	Enhanced Word `yaml:"enhanced" doc:"the enhanced status code (RFC 3463), such as 5.7.1"`
	Text     Word `yaml:"text" doc:"what to tell the client; {field} stands for what a field is"`
}

// HeaderField is how a header field is spelt.
type HeaderField struct {
	Name  Word `yaml:"name" required:"true" doc:"the field's name"`
	Value Word `yaml:"value" required:"true" doc:"its value; {field} stands for what a field is"`
}

// effects reads what stands under then.
type effects struct {
	c    *compiler
	raw  Raw
	r    *rule
	s    *staging
	said ast.Node // the verdict
}

func (c *compiler) then(r *rule, raw Raw, s *staging) {
	if raw.n == nil {
		return
	}
	f := &effects{c: c, raw: raw, r: r, s: s}
	switch n := raw.n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		entries, _ := raw.d.Entries(n, "then")
		if len(entries) == 0 {
			c.problem(n, "then: nothing to do", "write a verdict: "+strings.Join(verdicts, ", "))
		}
		for _, e := range entries {
			f.entry(e)
		}
		f.check()
	default:
		f.word(n)
	}
}

// word reads a verdict alone.
func (f *effects) word(n ast.Node) {
	text, sort := strict.Scalar(n)
	if sort != strict.AText || !slices.Contains(verdicts, text) {
		hint := strict.Suggest(text, slices.Concat(verdicts, deeds))
		if slices.Contains(deeds, text) {
			hint = "write {" + text + ": ...}"
		}
		f.c.problem(n, "then: want one of "+strings.Join(verdicts, ", ")+", or a map, got "+strict.NounOf(n), hint)
		return
	}
	f.verdict(n, text)
}

func (f *effects) verdict(n ast.Node, word string) {
	if f.said != nil {
		f.c.problem(n, "then: a second verdict, "+word, "a rule has one: make two rules")
		return
	}
	f.said = n
	f.r.then.action, f.r.then.ignore = actions[word], word == "ignore"
}

// entry reads one key.
func (f *effects) entry(e strict.Entry) {
	n, ok := f.raw.d.Resolve(e.Value)
	if !ok {
		return
	}
	if slices.Contains(verdicts, e.Key) {
		f.verdict(e.At, e.Key)
		f.reply(e.Key, n)
		return
	}
	if !slices.Contains(deeds, e.Key) {
		hint := strict.Suggest(e.Key, slices.Concat(verdicts, deeds))
		if hint == "" {
			hint = "known are " + strings.Join(slices.Concat(verdicts, deeds), ", ")
		}
		f.c.problem(e.At, fmt.Sprintf("then: unknown key %q", e.Key), hint)
		return
	}
	if strict.IsNull(n) {
		f.c.problem(e.At, "then: "+e.Key+" has no value", "")
		return
	}
	f.deed(e.Key, n)
}

func (f *effects) deed(key string, n ast.Node) {
	t := &f.r.then
	switch key {
	case "add_header":
		t.add = append(t.add, f.fields(key, n)...)
	case "replace_header":
		t.replace = append(t.replace, f.fields(key, n)...)
	case "remove_header":
		for _, w := range f.texts(key, n) {
			if !filters.IsFieldName(w.Text) {
				f.c.problem(w.at, key+": "+quote(w.Text)+" is no field name", "")
			}
			t.remove = append(t.remove, w.Text)
		}
	case "tag":
		for _, w := range f.texts(key, n) {
			if !isSlug(w.Text) {
				f.c.problem(w.at, key+": "+quote(w.Text)+" is no tag", nameHint)
			}
			t.tags = append(t.tags, w.Text)
		}
	case "score":
		t.score = f.score(n)
	case "delay":
		t.delay = f.delay(n)
	case "redirect":
		if to := f.texts(key, n); len(to) == 1 {
			t.to = f.path(key, to[0])
		} else if len(to) > 1 {
			f.c.problem(to[1].at, "redirect: want one address", "add others by add_recipient")
		}
	case "add_recipient":
		for _, w := range f.texts(key, n) {
			t.also = append(t.also, f.path(key, w))
		}
	}
}

func (f *effects) template(w Word) *template {
	if w.at == nil {
		return nil
	}
	t, err := parseTemplate(w.Text, f.c.p.fields.find, f.c.fieldHint)
	if err != nil {
		f.c.problem(f.c.within(w.at, w.Text, err.at), "template: "+err.msg, err.hint)
		return nil
	}
	for i := range t.parts {
		if ref := t.parts[i].field; ref != nil {
			f.s.mention(ref)
			t.parts[i].slot = f.c.slot(ref)
		}
	}
	return t
}

// check finds what does not go together.
func (f *effects) check() {
	t := &f.r.then
	if t.refuses() && t.edits() {
		f.c.problem(f.said, fmt.Sprintf("then: %v leaves no message to edit", t.action), "take the edits out, or the verdict")
	}
}
