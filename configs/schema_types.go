package configs

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/mailweir/mailweir/rules/strict"
)

// object is an object of JSON: a schema, or a part of one.
type object = map[string]any

// schemas makes schemas of types as package strict reads them. Each type that
// reads its own node must be in own.
type schemas struct {
	own  map[reflect.Type]func(strict.Field) object // those that read their own node
	more map[reflect.Type]func(object)              // structs that hold themselves to more
}

// structure returns the schema of a struct, whose fields are at their defaults.
func (s *schemas) structure(v reflect.Value) object {
	properties := object{}
	var required []string
	for _, f := range strict.Fields(v.Type()) {
		properties[f.Name] = s.option(f, f.Of(v))
		if f.Required {
			required = append(required, f.Name)
		}
	}
	o := mapping(properties, required...)
	if refine := s.more[v.Type()]; refine != nil {
		refine(o)
	}
	return o
}

// mapping returns the schema of a map with those keys.
func mapping(properties object, required ...string) object {
	o := object{
		"type":                 "object",
		"properties":           properties,
		"patternProperties":    object{"^<<$": mergeable()},
		"additionalProperties": false,
	}
	if required != nil {
		o["required"] = required
	}
	return o
}

// mergeable is what may stand behind a merge key.
func mergeable() object { return object{"type": []string{"object", "array"}} }

// option returns the schema of one key's value.
func (s *schemas) option(f strict.Field, v reflect.Value) object {
	o := s.value(f.Type, f, v)
	if f.Required && f.Type.Kind() == reflect.String {
		o["minLength"] = 1
	}
	if !f.Required {
		if d, ok := defaultOf(v); ok {
			o["default"] = d
		}
		o = orNull(o)
	}
	o["description"] = f.Doc
	if limits := limitsOf(f); limits != "" && f.Type == durationType {
		o["description"] = f.Doc + " (" + limits + ")"
	}
	return o
}

var durationType = reflect.TypeFor[time.Duration]()

// limitsOf says in words what a schema cannot.
func limitsOf(f strict.Field) string {
	switch {
	case f.Min != "" && f.Max != "":
		return f.Min + " to " + f.Max
	case f.Min != "":
		return "at least " + f.Min
	case f.Max != "":
		return "at most " + f.Max
	}
	return ""
}

// value returns the schema of a value of the type that is not null.
func (s *schemas) value(t reflect.Type, f strict.Field, v reflect.Value) object {
	if own := s.own[t]; own != nil {
		return own(f)
	}
	switch {
	case strict.IsEither(t):
		return object{"anyOf": []any{textOf(t), s.structure(v)}}
	case strict.Words(t) != nil:
		return oneWord(strict.Words(t))
	case t == durationType, strict.IsText(t):
		return textOf(t)
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.value(t.Elem(), f, strict.NewItem(t.Elem()))
	case reflect.Struct:
		return s.structure(v)
	case reflect.Slice:
		return object{"type": "array", "items": s.value(t.Elem(), f, strict.NewItem(t.Elem()))}
	case reflect.Map:
		return named("", s.value(t.Elem(), f, strict.NewItem(t.Elem())))
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.String:
		return formatted(f.Format)
	case reflect.Interface:
		return object{"type": []string{"string", "number", "boolean", "array", "object"}}
	}
	return number(t, f)
}

// named returns the schema of a map whose keys match a pattern, "" for any.
func named(keys string, item object) object {
	o := object{"type": "object", "patternProperties": object{"^<<$": mergeable()}, "additionalProperties": item}
	if keys != "" {
		o["patternProperties"] = object{"^<<$": mergeable(), keys: item}
		o["additionalProperties"] = false
	}
	return o
}

// number returns the schema of a number within its bounds and those of its
// type.
func number(t reflect.Type, f strict.Field) object {
	o := object{"type": "integer"}
	low, high := f.Min, f.Max
	switch t.Kind() {
	case reflect.Float32, reflect.Float64:
		o["type"] = "number"
	case reflect.Uint8, reflect.Uint16, reflect.Uint32:
		high = cmp.Or(high, strconv.FormatUint(1<<t.Bits()-1, 10))
		fallthrough
	case reflect.Uint, reflect.Uint64:
		low = cmp.Or(low, "0")
	}
	for key, bound := range map[string]string{"minimum": low, "maximum": high} {
		if n, err := strconv.ParseFloat(bound, 64); err == nil {
			o[key] = n
		}
	}
	return o
}

// oneWord returns the schema of words as they stand in a file: some of them
// look like numbers or bools, and may stand in quotes too.
func oneWord(words []string) object {
	var plain []any
	var quoted []string
	for _, w := range words {
		p := plainWord(w)
		if p != any(w) {
			quoted = append(quoted, regexp.QuoteMeta(w))
		}
		plain = append(plain, p)
	}
	if quoted == nil {
		return object{"enum": plain}
	}
	return object{"anyOf": []any{
		object{"enum": plain},
		object{"type": "string", "pattern": fmt.Sprintf("^(%s)$", strings.Join(quoted, "|"))},
	}}
}

// plainWord returns what YAML takes a word for that has no quotes.
func plainWord(w string) any {
	if n, err := strconv.ParseInt(w, 10, 32); err == nil {
		return n
	}
	if f, err := strconv.ParseFloat(w, 64); err == nil && numeric.MatchString(w) {
		return f
	}
	if b, err := strconv.ParseBool(w); err == nil && strconv.FormatBool(b) == w {
		return b
	}
	return w
}

// orNull returns a schema that takes null too: a key without a value is as good
// as none.
func orNull(o object) object {
	o = maps.Clone(o)
	if words, ok := o["enum"].([]any); ok {
		o["enum"] = append(words[:len(words):len(words)], nil)
	}
	switch t := o["type"].(type) {
	case string:
		o["type"] = []string{t, "null"}
	case []string:
		o["type"] = append(t[:len(t):len(t)], "null")
	}
	null := object{"type": "null"}
	if list, ok := o["anyOf"].([]any); ok && o["type"] == nil {
		o["anyOf"] = append(list[:len(list):len(list)], null)
	}
	if ref, ok := o["$ref"]; ok {
		delete(o, "$ref")
		o["anyOf"] = []any{object{"$ref": ref}, null}
	}
	return o
}

// property returns the schema of a key of a struct's schema.
func property(o object, key string) object { return o["properties"].(object)[key].(object) }
