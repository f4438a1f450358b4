package strict

import "github.com/goccy/go-yaml/ast"

// free returns a node as plain Go values, for fields of type any: text, bool,
// int64, uint64, float64, []any and map[string]any.
func (d *Decoder) free(n ast.Node) any {
	switch n := n.(type) {
	case *ast.SequenceNode:
		list := make([]any, 0, len(n.Values))
		for _, item := range n.Values {
			list = append(list, d.freeItem(item))
		}
		return list
	case *ast.MappingNode, *ast.MappingValueNode:
		entries, _ := d.Entries(n, "")
		m := make(map[string]any, len(entries))
		for _, e := range entries {
			m[e.Key] = d.freeItem(e.Value)
		}
		return m
	case ast.ScalarNode:
		return n.GetValue()
	}
	return nil
}

func (d *Decoder) freeItem(n ast.Node) any {
	n, ok := d.Resolve(n)
	if !ok {
		return nil
	}
	if d.depth++; d.depth > maxNesting {
		d.tooDeep(n)
	}
	defer func() { d.depth-- }()
	if d.stopped {
		return nil
	}
	return d.free(n)
}
