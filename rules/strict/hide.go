package strict

import (
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// hide puts asterisks for a secret in the lines that problems show.
func (d *Decoder) hide(n ast.Node) {
	n, ok := d.Resolve(n)
	if !ok || d.hidden[n] { // aliases may lead here many times
		return
	}
	if d.hidden == nil {
		d.hidden = map[ast.Node]bool{}
	}
	d.hidden[n] = true
	ast.Walk(hider{d.doc.Source}, n)
}

type hider struct{ *Source }

// Visit hides a scalar. Of text over several lines all is hidden.
func (h hider) Visit(n ast.Node) ast.Visitor {
	switch n := n.(type) {
	case *ast.LiteralNode:
		if t := n.Value.GetToken(); t != nil {
			h.hide(t, true)
		}
	case ast.ScalarNode:
		h.hide(n.GetToken(), false)
	}
	return h
}

func (h hider) hide(t *token.Token, whole bool) {
	if t == nil || t.Position == nil {
		return
	}
	text := strings.TrimSpace(t.Origin)
	first, column := t.Position.Line, max(0, t.Position.Column-1)
	for i := range 1 + strings.Count(text, "\n") {
		if i > 0 || whole {
			column = 0
		}
		h.hideFrom(first+i, column, text, whole || strings.Contains(text, "\n"))
	}
}

// hideFrom hides the part of a line that is as long as the text, or its rest.
func (h hider) hideFrom(number, column int, text string, rest bool) {
	if number < 1 || number > len(h.lines) {
		return
	}
	line := []rune(h.lines[number-1])
	end := len(line)
	if !rest {
		end = min(end, column+len([]rune(text)))
	}
	for i := column; i < end; i++ {
		line[i] = '*'
	}
	h.lines[number-1] = string(line)
}
