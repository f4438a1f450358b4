package strict

import (
	"fmt"
	"reflect"

	"github.com/goccy/go-yaml/ast"
)

// Unmarshaler is a type that reads its own node. The node is neither an
// anchor, an alias, nor null.
type Unmarshaler interface {
	UnmarshalNode(d *Decoder, n ast.Node)
}

// Defaulter is an item of a list or map that has defaults.
type Defaulter interface{ SetDefaults() }

// Checker is a struct that checks itself once it is filled. Fields that were
// wrong or absent have their default.
type Checker interface{ Check(r *Report) }

// Decoder fills Go values from nodes and collects what is wrong.
type Decoder struct {
	doc      *Document
	problems Problems
	visited  int
	depth    int
	stopped  bool // no use to go on
	hidden   map[ast.Node]bool
}

// Decode fills the struct that into points to, and returns all problems found.
func (doc *Document) Decode(into any) Problems {
	d := &Decoder{doc: doc}
	v := reflect.ValueOf(into).Elem()
	if doc.Body == nil {
		d.fields(nil, nil, v, nil)
	} else {
		d.Into(doc.Body, into, "")
	}
	for i, p := range d.problems { // with what has been hidden since
		d.problems[i].Source = d.doc.line(p.Line)
	}
	return d.problems
}

// Problem notes what is wrong at a node; nil stands for the whole file.
func (d *Decoder) Problem(n ast.Node, msg, hint string) {
	if d.stopped {
		return
	}
	pos := Pos{1, 1}
	if n != nil {
		pos = PosOf(n)
	}
	if len(d.problems) == maxProblems {
		d.stopped = true
		msg, hint = "too many problems; the rest of the file was not read", ""
	}
	d.problems = append(d.problems, d.doc.At(pos, msg, hint))
}

// Resolve returns what stands behind anchors and aliases, and false when that
// cannot be told, which it reports.
func (d *Decoder) Resolve(n ast.Node) (ast.Node, bool) {
	for {
		if d.visited++; d.visited > maxNodes && !d.stopped {
			d.Problem(n, fmt.Sprintf("more than %d values, counting those of aliases each time", maxNodes), "")
			d.stopped = true
		}
		if d.stopped {
			return nil, false
		}
		switch at := n.(type) {
		case *ast.AnchorNode:
			n = at.Value
		case *ast.AliasNode:
			target := d.doc.aliases[at]
			if target == nil {
				d.Problem(at, "no anchor of that name stands before this alias", "")
				return nil, false
			}
			n = target
		case *ast.TagNode:
			d.Problem(at, "tags are not understood here", "leave "+at.Start.Value+" out")
			return nil, false
		default:
			return n, n != nil
		}
	}
}

// IsNull reports whether a resolved node is null or left out.
func IsNull(n ast.Node) bool {
	_, null := n.(*ast.NullNode)
	return null
}

// Value fills v from a node. Null leaves it as it is.
func (d *Decoder) Value(n ast.Node, v reflect.Value, f Field) {
	n, ok := d.Resolve(n)
	if !ok || IsNull(n) {
		return
	}
	if d.depth++; d.depth > maxNesting {
		d.tooDeep(n)
	} else {
		d.into(n, v, f)
	}
	d.depth--
}

// tooDeep gives up: an alias may lead into itself.
func (d *Decoder) tooDeep(n ast.Node) {
	d.Problem(n, fmt.Sprintf("nested deeper than %d levels", maxNesting), "")
	d.stopped = true
}

// Into fills the struct that conf points to from a node. name is the key in
// front of it.
func (d *Decoder) Into(n ast.Node, conf any, name string) {
	n, ok := d.Resolve(n)
	v := reflect.ValueOf(conf).Elem()
	switch {
	case !ok:
	case IsNull(n):
		d.fields(n, nil, v, nil)
	default:
		d.Value(n, v, Field{Name: name})
	}
}

// Items returns the items of a list, none when the node is no list.
func (d *Decoder) Items(n ast.Node) []ast.Node {
	if n, ok := d.Resolve(n); ok {
		if list, ok := n.(*ast.SequenceNode); ok {
			return list.Values
		}
	}
	return nil
}

func (d *Decoder) into(n ast.Node, v reflect.Value, f Field) {
	if v.CanAddr() && v.Addr().Type().Implements(nodeType) {
		v.Addr().Interface().(Unmarshaler).UnmarshalNode(d, n)
		return
	}
	if IsText(v.Type()) && !(isMap(n) && IsEither(v.Type())) {
		d.scalar(n, v, f)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(NewItem(v.Type().Elem()).Addr())
		}
		d.into(n, v.Elem(), f)
	case reflect.Struct:
		d.structure(n, v, f)
	case reflect.Slice:
		d.list(n, v, f)
	case reflect.Map:
		d.dict(n, v, f)
	case reflect.Interface:
		if value := d.free(n); value != nil {
			v.Set(reflect.ValueOf(value))
		}
	default:
		d.scalar(n, v, f)
	}
}

// list fills a slice, in place of what it held.
func (d *Decoder) list(n ast.Node, v reflect.Value, f Field) {
	items, ok := d.List(n, f.Name)
	if !ok {
		return
	}
	list := reflect.MakeSlice(v.Type(), 0, len(items))
	for _, item := range items {
		if !d.present(item, "an item of this list has no value") {
			continue
		}
		value := NewItem(v.Type().Elem())
		d.Value(item, value, f)
		list = reflect.Append(list, value)
	}
	v.Set(list)
}

// List returns the items of a list, or reports that the node is none. name is
// the key in front of it, "" if there is none.
func (d *Decoder) List(n ast.Node, name string) ([]ast.Node, bool) {
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		d.wrong(n, name, fault{Msg: "want a list, got " + NounOf(n), Hint: listHint(n)})
		return nil, false
	}
	return list.Values, true
}

// present reports whether an item has a value, and else complains.
func (d *Decoder) present(n ast.Node, complaint string) bool {
	at, ok := d.Resolve(n)
	if ok && IsNull(at) {
		d.Problem(n, complaint, "")
	}
	return ok && !IsNull(at)
}

// dict fills a map with text keys, in place of what it held.
func (d *Decoder) dict(n ast.Node, v reflect.Value, f Field) {
	entries, ok := d.Entries(n, f.Name)
	if !ok {
		return
	}
	m := reflect.MakeMapWithSize(v.Type(), len(entries))
	for _, e := range entries {
		if !d.present(e.Value, quote(e.Key)+" has no value") {
			continue
		}
		key, value := reflect.New(v.Type().Key()).Elem(), NewItem(v.Type().Elem())
		if wrong := setText(key, e.Key, Field{}); wrong != nil {
			d.wrong(e.At, f.Name, *wrong)
			continue
		}
		d.Value(e.Value, value, Field{Name: e.Key, Min: f.Min, Max: f.Max, Format: f.Format})
		m.SetMapIndex(key, value)
	}
	v.Set(m)
}

// wrong notes a fault of the value of that key.
func (d *Decoder) wrong(n ast.Node, name string, why fault) {
	msg := why.Msg
	if name != "" {
		msg = name + ": " + msg
	}
	d.Problem(n, msg, why.Hint)
}
