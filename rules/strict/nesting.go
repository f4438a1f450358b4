package strict

import (
	"fmt"

	"github.com/goccy/go-yaml/token"
)

// excess tells where a file asks too much of the parser: it recurses without a
// limit of its own, where a stack overflow cannot be recovered from, and takes
// quadratic time for the keys of a mapping.
//
// The depth it finds is at least half of the parser's: a list may stand in the
// same column as the key it belongs to.
func excess(tokens token.Tokens) (Pos, string) {
	var n nesting
	k := keys{open: map[int]int{}}
	for _, t := range tokens {
		n.add(t)
		k.add(t, n.flow)
		pos := Pos{t.Position.Line, t.Position.Column}
		switch {
		case len(n.open) > maxNesting:
			return pos, fmt.Sprintf("nested deeper than %d levels", maxNesting)
		case k.most > maxKeys:
			return pos, fmt.Sprintf("more than %d keys in one map", maxKeys)
		case k.all > maxAllKeys:
			return pos, fmt.Sprintf("more than %d keys", maxAllKeys)
		}
	}
	return Pos{}, ""
}

// nesting is the collections that are open: for each its column, or flow for
// one in brackets.
type nesting struct {
	open []int
	flow int // how many of open are in brackets
	line int // of the last token
}

const flow = -1

func (n *nesting) add(t *token.Token) {
	if n.flow == 0 && t.Position.Line != n.line {
		n.closeFrom(t.Position.Column)
	}
	n.line = t.Position.Line
	switch t.Type {
	case token.MappingStartType, token.SequenceStartType:
		n.open = append(n.open, flow)
		n.flow++
	case token.MappingEndType, token.SequenceEndType:
		if n.flow > 0 {
			n.closeItem()
			n.open = n.open[:len(n.open)-1]
			n.flow--
		}
	case token.CollectEntryType:
		if n.flow > 0 {
			n.closeItem()
		}
	case token.DocumentHeaderType, token.DocumentEndType:
		*n = nesting{line: n.line}
	case token.MappingValueType:
		column := t.Position.Column
		if t.Prev != nil && t.Prev.Position.Line == t.Position.Line {
			column = t.Prev.Position.Column // where the key begins
		}
		n.open = append(n.open, column)
	case token.SequenceEntryType, token.MappingKeyType, token.AnchorType, token.TagType:
		n.open = append(n.open, t.Position.Column)
	}
}

// closeFrom closes the block collections at that column and right of it.
func (n *nesting) closeFrom(column int) {
	for len(n.open) > 0 && n.open[len(n.open)-1] >= column {
		n.open = n.open[:len(n.open)-1]
	}
}

// closeItem closes what was opened since the last bracket.
func (n *nesting) closeItem() {
	for len(n.open) > 0 && n.open[len(n.open)-1] != flow {
		n.open = n.open[:len(n.open)-1]
	}
}
