package strict

import "github.com/goccy/go-yaml/token"

// keys counts the keys of mappings, by the column in which they stand; those in
// brackets together.
type keys struct {
	open map[int]int
	most int // of one mapping so far
	all  int
}

// add counts a token. inFlow is how many brackets are open.
func (k *keys) add(t *token.Token, inFlow int) {
	column := t.Position.Column
	switch t.Type {
	case token.MappingStartType, token.SequenceStartType:
		if inFlow == 1 { // the outermost
			delete(k.open, flow)
		}
	case token.SequenceEntryType, token.DocumentHeaderType:
		k.close(column)
	case token.MappingValueType:
		k.all++
		if inFlow > 0 {
			column = flow
		} else if t.Prev != nil && t.Prev.Position.Line == t.Position.Line {
			column = t.Prev.Position.Column // where the key begins
			k.close(column)
		}
		k.open[column]++
		k.most = max(k.most, k.open[column])
	}
}

// close forgets the mappings that stand right of a column: they have ended.
func (k *keys) close(column int) {
	for c := range k.open {
		if c > column {
			delete(k.open, c)
		}
	}
}
