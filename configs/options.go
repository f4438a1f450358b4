package configs

import (
	"encoding"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/mailweir/mailweir/rules/strict"
)

// Option describes one option of a kind of filter, for its manual.
type Option struct {
	Name     string
	Type     string // in words, such as "list of net"
	Default  string // as YAML
	Doc      string
	Required bool
	Keys     []Option // of the map that the value is or may be, or each of its items
}

// Options returns the options of a struct with yaml and doc tags: of what a
// kind's Conf returns.
func Options(conf any) []Option { return options(reflect.Indirect(reflect.ValueOf(conf))) }

func options(v reflect.Value) []Option {
	var list []Option
	for _, f := range strict.Fields(v.Type()) {
		list = append(list, Option{
			Name:     f.Name,
			Type:     typeName(f.Type),
			Default:  literal(f.Of(v)),
			Doc:      f.Doc,
			Required: f.Required,
			Keys:     keys(f.Type, f.Of(v)),
		})
	}
	return list
}

// keys returns the options of a struct, or of the items of a list or map of
// them. value has the defaults of the struct itself.
func keys(t reflect.Type, value reflect.Value) []Option {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return keys(t.Elem(), strict.NewItem(t.Elem()))
	case reflect.Struct:
		if !strict.IsText(t) || strict.IsEither(t) {
			return options(value)
		}
	}
	return nil
}

// typeName says in words what values of the type are.
func typeName(t reflect.Type) string {
	switch {
	case strict.Words(t) != nil:
		return strings.Join(strict.Words(t), " | ")
	case t == reflect.TypeFor[time.Duration]():
		return "duration"
	case strict.IsEither(t):
		return strings.ToLower(t.Name()) + " or map"
	case strict.IsText(t):
		return strings.ToLower(t.Name())
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true | false"
	case reflect.String:
		return "text"
	case reflect.Pointer:
		return typeName(t.Elem())
	case reflect.Slice:
		return "list of " + typeName(t.Elem())
	case reflect.Struct, reflect.Map:
		return "map"
	case reflect.Interface:
		return "anything"
	}
	return "number"
}

// literal writes a value as YAML in one line.
func literal(v reflect.Value) string {
	if s := v.String(); strict.Words(v.Type()) != nil && (s == "true" || s == "false") {
		return s // the same word as the bool
	}
	switch x := v.Interface().(type) {
	case time.Duration:
		return duration(x)
	case encoding.TextMarshaler:
		if text, err := x.MarshalText(); err == nil {
			return scalar(string(text))
		}
	case fmt.Stringer:
		return scalar(x.String())
	}
	switch v.Kind() {
	case reflect.String:
		return scalar(v.String())
	case reflect.Slice:
		items := make([]string, v.Len())
		for i := range items {
			items[i] = literal(v.Index(i))
		}
		return "[" + strings.Join(items, ", ") + "]"
	case reflect.Struct:
		var items []string
		for _, f := range strict.Fields(v.Type()) {
			items = append(items, f.Name+": "+literal(f.Of(v)))
		}
		return "{" + strings.Join(items, ", ") + "}"
	case reflect.Map:
		return "{}"
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return "null"
		}
		return literal(v.Elem())
	}
	return fmt.Sprint(v)
}

// duration writes a duration without the zeros that Go puts at its end.
func duration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// plain is text that YAML takes for text without quotes, also inside of
// brackets; words that mean something else are among it.
var (
	plain   = regexp.MustCompile(`^[A-Za-z.0-9][A-Za-z0-9_./-]*$`)
	special = regexp.MustCompile(`(?i)^(true|false|yes|no|on|off|null|\.inf|\.nan)$`)
	numeric = regexp.MustCompile(`^[0-9.][0-9_.eExXoObBa-fA-F+-]*$`)
	address = regexp.MustCompile(`^[0-9]+(\.[0-9]+){3}(/[0-9]+)?$`)
)

// scalar writes a text as YAML, in quotes where they are needed.
func scalar(s string) string {
	if address.MatchString(s) || plain.MatchString(s) && !special.MatchString(s) && !numeric.MatchString(s) {
		return s
	}
	return strconv.Quote(s)
}
