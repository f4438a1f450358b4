package rules

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/rules/strict"
)

// reply reads how a verdict is spelt to the client.
func (f *effects) reply(verdict string, n ast.Node) {
	if strict.IsNull(n) {
		return
	}
	text, sort := strict.Scalar(n)
	switch f.r.then.action {
	case filters.Reject, filters.TempFail, filters.Hangup:
	default:
		if sort != strict.ABool || text != "true" {
			f.c.problem(n, "then: "+verdict+" takes no options", "write "+verdict+": true")
		}
		return
	}
	switch sort {
	case strict.ABool:
		if text != "true" {
			f.c.problem(n, "then: "+verdict+": want true, a text, or a map with code, enhanced and text", "")
		}
	case strict.AText:
		f.spell(Reply{Text: Word{text, n}})
	default:
		var as Reply
		f.raw.d.Into(n, &as, verdict)
		f.spell(as)
	}
}

// spell makes the reply whole: what is not spelt is as usual for the verdict.
func (f *effects) spell(as Reply) {
	t := &f.r.then
	low, high, usual := uint16(500), uint16(559), uint16(550)
	switch t.action {
	case filters.TempFail:
		low, high, usual = 400, 459, 451
	case filters.Hangup:
		low, high, usual = 421, 521, 421
	}
	t.reply.Code = usual
	f.code(as.Code, low, high)
	t.reply.Enh = [3]uint16{t.reply.Code / 100, 7, 1}
	if as.Enhanced.at != nil {
		f.enhanced(as.Enhanced)
	}
	f.replyText(as.Text)
}

// code reads a reply code that suits the verdict.
func (f *effects) code(w Word, low, high uint16) {
	if w.at == nil {
		return
	}
	t, n := &f.r.then, w.at
	number, err := strconv.ParseUint(w.Text, 10, 16)
	switch code := uint16(number); {
	case err != nil:
		f.c.problem(n, fmt.Sprintf("code: want a reply code, got %s", strict.NounOf(n)), "")
	case t.action == filters.Hangup && code != 421 && code != 521:
		f.c.problem(n, fmt.Sprintf("hangup: want code 421 or 521, got %d", code), "")
	case t.action != filters.Hangup && (code == 421 || code == 521):
		f.c.problem(n, fmt.Sprintf("%v: code %d closes the connection", t.action, code), "write hangup for that")
	case code < low || code > high || code/10%10 > 5:
		f.c.problem(n, fmt.Sprintf("%v: want a code from %d to %d, got %d", t.action, low, high, code), f.otherVerdict(code))
	default:
		t.reply.Code = code
	}
}

func (f *effects) otherVerdict(code uint16) string {
	switch {
	case code/100 == 4 && f.r.then.action != filters.TempFail:
		return "write tempfail for that"
	case code/100 == 5 && f.r.then.action != filters.Reject:
		return "write reject for that"
	}
	return ""
}

// enhanced reads an enhanced status code, which agrees with the code.
func (f *effects) enhanced(w Word) {
	parts := strings.Split(w.Text, ".")
	var enh [3]uint16
	ok := len(parts) == 3
	for i := 0; ok && i < 3; i++ {
		n, err := strconv.ParseUint(parts[i], 10, 10)
		ok = err == nil && n <= 999
		enh[i] = uint16(n)
	}
	class := f.r.then.reply.Code / 100
	switch {
	case !ok:
		f.c.problem(w.at, "enhanced: want an enhanced status code such as "+fmt.Sprintf("%d.7.1", class)+", got "+quote(w.Text), "")
	case enh[0] != class:
		f.c.problem(w.at, fmt.Sprintf("enhanced: %s does not agree with code %d", w.Text, f.r.then.reply.Code), fmt.Sprintf("write %d.%d.%d", class, enh[1], enh[2]))
	default:
		f.r.then.reply.Enh = enh
	}
}

const maxReply = 400 // octets of a reply's text, before fields are filled in

func (f *effects) replyText(w Word) {
	if w.at == nil {
		return
	}
	if len(w.Text) > maxReply || strings.ContainsFunc(w.Text, func(c rune) bool { return c != '\n' && (c < ' ' || c > '~') }) {
		f.c.problem(w.at, fmt.Sprintf("text: want ASCII text of at most %d octets", maxReply), "the reply goes to any client, and not all read more")
		return
	}
	f.r.then.text = f.template(Word{strings.TrimRight(w.Text, "\n"), w.at})
}
