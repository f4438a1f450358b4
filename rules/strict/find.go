package strict

import (
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// Find returns where the value at a path is, such as "listeners[2].tls.key". Of
// a path that leads nowhere it is the place where it ends.
func (doc *Document) Find(path string) Pos {
	if doc.Body == nil {
		return Pos{1, 1}
	}
	return PosOf((&Decoder{doc: doc}).find(doc.Body, path))
}

// Path notes what is wrong with the value at a path that begins in the struct,
// such as "listeners[2].tls.key".
func (r *Report) Path(path, msg, hint string) {
	key := path[strings.LastIndex(path, ".")+1:]
	key, _, _ = strings.Cut(key, "[")
	quiet := &Decoder{doc: r.d.doc} // what it would report has been
	r.d.Problem(quiet.find(r.at, path), key+": "+msg, hint)
}

// find follows a path as far as it leads.
func (d *Decoder) find(n ast.Node, path string) ast.Node {
	for step := range strings.FieldsFuncSeq(path, func(c rune) bool { return strings.ContainsRune(".[]", c) }) {
		next := d.below(n, step)
		if next == nil {
			break
		}
		n = next
	}
	return n
}

// below returns the value of a key, or the item of that number.
func (d *Decoder) below(n ast.Node, step string) ast.Node {
	n, ok := d.Resolve(n)
	if !ok {
		return nil
	}
	if i, err := strconv.Atoi(step); err == nil {
		return d.item(n, i)
	}
	if !isMap(n) {
		return nil
	}
	entries, _ := d.Entries(n, "")
	for _, e := range entries {
		if e.Key == step {
			return e.Value
		}
	}
	return nil
}

// item returns item i of a list, those without a value not counted, as in the
// slice that it fills.
func (d *Decoder) item(n ast.Node, i int) ast.Node {
	for _, item := range d.Items(n) {
		if at, ok := d.Resolve(item); !ok || IsNull(at) {
			continue
		}
		if i == 0 {
			return item
		}
		i--
	}
	return nil
}
