package strict

import (
	"encoding"
	"reflect"
	"strings"
	"time"
)

// Field is one option of a struct.
type Field struct {
	Name     string // its key
	Doc      string
	Required bool
	Min, Max string // bounds, "" for none
	Format   string
	Secret   bool // its value is not shown
	Type     reflect.Type
	index    []int
}

// Fields returns the options of a struct type in their order, those of inlined
// structs in place.
func Fields(t reflect.Type) []Field {
	var list []Field
	for i := range t.NumField() {
		sf := t.Field(i)
		name, option, _ := strings.Cut(sf.Tag.Get("yaml"), ",")
		if name == "-" || !sf.IsExported() {
			continue
		}
		if option == "inline" {
			for _, f := range Fields(sf.Type) {
				f.index = append([]int{i}, f.index...)
				list = append(list, f)
			}
			continue
		}
		if name == "" {
			name = strings.ToLower(sf.Name)
		}
		list = append(list, Field{
			Name:     name,
			Doc:      sf.Tag.Get("doc"),
			Required: sf.Tag.Get("required") == "true",
			Min:      sf.Tag.Get("min"),
			Max:      sf.Tag.Get("max"),
			Format:   sf.Tag.Get("format"),
			Secret:   sf.Tag.Get("secret") == "true",
			Type:     sf.Type,
			index:    sf.Index,
		})
	}
	return list
}

// Of returns the field's value in the struct.
func (f Field) Of(v reflect.Value) reflect.Value { return v.FieldByIndex(f.index) }

// Words returns the words a value of this type may be, nil when it is free.
func Words(t reflect.Type) []string {
	if w, ok := reflect.Zero(t).Interface().(interface{ Words() []string }); ok {
		return w.Words()
	}
	return nil
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
	nodeType     = reflect.TypeFor[Unmarshaler]()
)

// IsText reports whether values of the type are written as one scalar of the
// type's own making.
func IsText(t reflect.Type) bool { return reflect.PointerTo(t).Implements(textType) }

// IsEither reports whether values of the type are written as one scalar or as
// a map: structs that read a text, and whose fields have yaml tags besides.
func IsEither(t reflect.Type) bool {
	if t.Kind() != reflect.Struct || !IsText(t) {
		return false
	}
	for i := range t.NumField() {
		if tag := t.Field(i).Tag.Get("yaml"); tag != "" && tag != "-" {
			return true
		}
	}
	return false
}

// NewItem returns an addressable value of the type, with its defaults.
func NewItem(t reflect.Type) reflect.Value {
	p := reflect.New(t)
	if item, ok := p.Interface().(Defaulter); ok {
		item.SetDefaults()
	}
	return p.Elem()
}

// Names returns the keys of a struct.
func Names(conf any) []string {
	fields := Fields(reflect.TypeOf(conf))
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Name
	}
	return names
}
