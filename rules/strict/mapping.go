package strict

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// Entry is one key of a mapping with its value.
type Entry struct {
	Key   string
	At    ast.Node // the key
	Value ast.Node
}

// Entries returns what stands in a mapping, merge keys (<<) resolved: a key of
// the mapping's own goes before merged ones, and those before later ones. It
// reports duplicate keys, and false when the node is no mapping. name is the
// key in front of it, "" if there is none.
func (d *Decoder) Entries(n ast.Node, name string) ([]Entry, bool) {
	pairs, ok := pairsOf(n)
	if !ok {
		d.wrong(n, name, fault{Msg: "want a map of keys and values, got " + NounOf(n)})
		return nil, false
	}
	var own, merged []Entry
	seen := map[string]Pos{}
	for _, pair := range pairs {
		if pair.Key == nil || pair.Value == nil {
			continue
		}
		if pair.Key.IsMergeKey() {
			merged = append(merged, d.merged(pair.Value)...)
			continue
		}
		key, ok := keyText(pair.Key)
		if !ok {
			d.Problem(pair.Key, "want a plain word as key", "")
			continue
		}
		if first, twice := seen[key]; twice {
			d.Problem(pair.Key, fmt.Sprintf("%s is given twice", quote(key)), fmt.Sprintf("the first is in line %d", first.Line))
			continue
		}
		seen[key] = PosOf(pair.Key)
		own = append(own, Entry{key, pair.Key, pair.Value})
	}
	for _, e := range merged {
		if _, has := seen[e.Key]; !has {
			seen[e.Key] = PosOf(e.At)
			own = append(own, e)
		}
	}
	return own, true
}

// merged returns the entries that a merge key brings in: those of a mapping,
// or of a list of mappings.
func (d *Decoder) merged(n ast.Node) []Entry {
	at, ok := d.Resolve(n)
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
	if list, ok := at.(*ast.SequenceNode); ok {
		var all []Entry
		for _, item := range list.Values {
			all = append(all, d.merged(item)...)
		}
		return all
	}
	entries, _ := d.Entries(at, "<<")
	d.visited += len(entries)
	return entries
}

// Positions returns where the values of a mapping's own keys are, nil when the
// node is no mapping. It reports nothing.
func (d *Decoder) Positions(n ast.Node) map[string]Pos {
	n, ok := d.Resolve(n)
	if !ok {
		return nil
	}
	pairs, _ := pairsOf(n)
	places := make(map[string]Pos, len(pairs))
	for _, pair := range pairs {
		if key, ok := keyText(pair.Key); ok && pair.Value != nil {
			places[key] = PosOf(pair.Value)
		}
	}
	return places
}

func pairsOf(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	}
	return nil, false
}

func isMap(n ast.Node) bool {
	_, ok := pairsOf(n)
	return ok
}

func keyText(n ast.MapKeyNode) (string, bool) {
	var node ast.Node = n
	if k, ok := n.(*ast.MappingKeyNode); ok {
		node = k.Value
	}
	text, noun := Scalar(node)
	return text, noun != ""
}

func (d *Decoder) structure(n ast.Node, v reflect.Value, f Field) {
	if entries, ok := d.Entries(n, f.Name); ok {
		d.fields(n, entries, v, nil)
	}
}

// Fields fills a struct from some entries of the mapping n. Keys in others are
// known too, and named when an unknown key is like one of them.
func (d *Decoder) Fields(n ast.Node, entries []Entry, into any, others []string) {
	d.fields(n, entries, reflect.ValueOf(into).Elem(), others)
}

func (d *Decoder) fields(n ast.Node, entries []Entry, v reflect.Value, others []string) {
	byKey := make(map[string]ast.Node, len(entries))
	for _, e := range entries {
		byKey[e.Key] = e.Value
	}
	known := append([]string(nil), others...)
	for _, f := range Fields(v.Type()) {
		known = append(known, f.Name)
		value, there := byKey[f.Name]
		if f.Required && (!there || d.nullAt(value)) {
			d.Problem(n, f.Name+" is missing", firstSentence(f.Doc))
		}
		if there {
			if f.Secret {
				d.hide(value)
			}
			d.Value(value, f.Of(v), f)
		}
	}
	for _, e := range entries {
		if !slices.Contains(known, e.Key) {
			d.Problem(e.At, "unknown key "+quote(e.Key), unknownHint(e.Key, known))
		}
	}
	if c, ok := v.Addr().Interface().(Checker); ok {
		c.Check(&Report{d, n, byKey})
	}
}

func (d *Decoder) nullAt(n ast.Node) bool {
	at, ok := d.Resolve(n)
	return ok && IsNull(at)
}

// maxListed is up to how many known keys are listed when none is like the
// unknown one.
const maxListed = 12

func unknownHint(key string, known []string) string {
	if hint := Suggest(key, known); hint != "" {
		return hint
	}
	switch {
	case len(known) == 0:
		return "there are no options here"
	case len(known) <= maxListed:
		return "known are " + strings.Join(known, ", ")
	}
	return ""
}

func firstSentence(doc string) string {
	first, _, _ := strings.Cut(doc, ". ")
	return strings.TrimSuffix(first, ".")
}

// Report takes what a Checker finds, and places it.
type Report struct {
	d  *Decoder
	at ast.Node
	by map[string]ast.Node
}

// Problem notes what is wrong with the value of that key.
func (r *Report) Problem(key, msg, hint string) {
	r.d.Problem(r.node(key), key+": "+msg, hint)
}

// Missing notes that a key is not there, as for a required one.
func (r *Report) Missing(key, hint string) { r.d.Problem(r.at, key+" is missing", hint) }

// Given reports whether the key has a value.
func (r *Report) Given(key string) bool {
	n, there := r.by[key]
	return there && !r.d.nullAt(n)
}

// Item notes what is wrong with item i of the list at that key.
func (r *Report) Item(key string, i int, msg, hint string) {
	n := r.node(key)
	if items := r.d.Items(n); i < len(items) {
		n = items[i]
	}
	r.d.Problem(n, key+": "+msg, hint)
}

// At notes what is wrong at a node.
func (r *Report) At(n ast.Node, msg, hint string) { r.d.Problem(n, msg, hint) }

func (r *Report) node(key string) ast.Node {
	if n, ok := r.by[key]; ok {
		return n
	}
	return r.at
}
