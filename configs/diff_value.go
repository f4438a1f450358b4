package configs

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/mailweir/mailweir/rules/strict"
)

const (
	maxShownValue = 60 // characters of a list that is shown whole
	maxShownItems = 5  // of a longer one, that are shown
)

// value compares two values of one option.
func (d *differ) value(key string, secret bool, old, now reflect.Value) {
	if reflect.DeepEqual(old.Interface(), now.Interface()) {
		return
	}
	if secret {
		d.add(key, "changed (it is secret)")
		return
	}
	switch x := now.Interface().(type) {
	case UpstreamRef:
		d.ref(key, old.Interface().(UpstreamRef), x)
		return
	case []Route:
		d.routes(key, old.Interface().([]Route), x)
		return
	}
	if t := now.Type(); strict.IsText(t) && !strict.IsEither(t) {
		d.shown(key, old, now)
		return
	}
	switch now.Kind() {
	case reflect.Struct:
		d.options(key+".", old, now)
	case reflect.Slice:
		d.lists(key, old, now)
	case reflect.Map:
		d.maps(key, old, now)
	case reflect.Pointer:
		if !old.IsNil() && !now.IsNil() {
			d.value(key, false, old.Elem(), now.Elem())
			return
		}
		d.shown(key, old, now)
	default:
		d.shown(key, old, now)
	}
}

// shown tells both values, if they read otherwise.
func (d *differ) shown(key string, old, now reflect.Value) {
	if a, b := shown(old), shown(now); a != b {
		d.add(key, a+" -> "+b)
	}
}

func (d *differ) maps(key string, old, now reflect.Value) {
	for _, k := range sortedKeys(old, now) {
		a, b := old.MapIndex(k), now.MapIndex(k)
		at := key + "." + shown(k)
		switch {
		case !b.IsValid():
			d.add(at, "removed")
		case !a.IsValid():
			d.add(at, "added "+shown(b))
		default:
			d.value(at, false, a, b)
		}
	}
}

func sortedKeys(maps ...reflect.Value) []reflect.Value {
	seen := map[string]reflect.Value{}
	for _, m := range maps {
		for _, k := range m.MapKeys() {
			seen[shown(k)] = k
		}
	}
	names := make([]string, 0, len(seen))
	for name := range seen {
		names = append(names, name)
	}
	slices.Sort(names)
	keys := make([]reflect.Value, len(names))
	for i, name := range names {
		keys[i] = seen[name]
	}
	return keys
}

// lists compares lists: of maps item by item, where the items can be told
// apart by what they are called.
func (d *differ) lists(key string, old, now reflect.Value) {
	a, b := itemsOf(old), itemsOf(now)
	if e := now.Type().Elem(); e.Kind() == reflect.Struct && (!strict.IsText(e) || strict.IsEither(e)) && unique(a) && unique(b) {
		d.items(key, a, b)
		return
	}
	if x, y := shown(old), shown(now); len(x) <= maxShownValue && len(y) <= maxShownValue {
		d.shown(key, old, now)
		return
	}
	gone, come := without(a, b), without(b, a)
	switch {
	case len(gone)+len(come) == 0:
		d.add(key, "changed in order, or in what is not shown")
	case len(come) == 0:
		d.add(key, "without "+some(gone))
	case len(gone) == 0:
		d.add(key, "with "+some(come))
	default:
		d.add(key, "without "+some(gone)+", with "+some(come))
	}
}

// items compares lists of maps.
func (d *differ) items(key string, old, now []item) {
	for _, o := range without(old, now) {
		d.add(key+"["+o.name+"]", "removed")
	}
	place := "to the front"
	stayed := inOrder(namesOf(old), namesOf(now))
	was := make(map[string]reflect.Value, len(old))
	for _, o := range old {
		was[o.name] = o.value
	}
	for _, n := range now {
		at := key + "[" + n.name + "]"
		o, known := was[n.name]
		switch {
		case !known:
			d.add(at, "added "+place)
		case !stayed[n.name]:
			d.add(at, "moved "+place)
		}
		if known {
			d.options(at+".", o, n.value)
		}
		place = "behind " + n.name
	}
}

// item is one of a list.
type item struct {
	name  string // what it is called
	value reflect.Value
}

func itemsOf(list reflect.Value) []item {
	items := make([]item, list.Len())
	for i := range items {
		items[i] = item{called(list.Index(i)), list.Index(i)}
	}
	return items
}

// called returns what tells an item from the others: of a map what it says of
// itself, or its first option.
func called(v reflect.Value) string {
	if s, ok := v.Interface().(fmt.Stringer); ok {
		return scalar(s.String())
	}
	if v.Kind() == reflect.Struct {
		if fields := strict.Fields(v.Type()); len(fields) > 0 && !fields[0].Secret {
			return shown(fields[0].Of(v))
		}
	}
	return shown(v)
}

func namesOf(items []item) []string {
	names := make([]string, len(items))
	for i, it := range items {
		names[i] = it.name
	}
	return names
}

func unique(items []item) bool {
	names := namesOf(items)
	slices.Sort(names)
	return len(slices.Compact(names)) == len(items)
}

// without returns the items of a that b does not have.
func without(a, b []item) []item {
	have := make(map[string]bool, len(b))
	for _, it := range b {
		have[it.name] = true
	}
	return slices.DeleteFunc(slices.Clone(a), func(it item) bool { return have[it.name] })
}

// some names the first of many items.
func some(items []item) string {
	names := namesOf(items)
	if n := len(names) - maxShownItems; n > 0 {
		return strings.Join(names[:maxShownItems], ", ") + fmt.Sprintf(" and %d more", n)
	}
	return strings.Join(names, ", ")
}

// shown writes a value as YAML in one line, with asterisks for secrets.
func shown(v reflect.Value) string {
	t := v.Type()
	if v.Kind() != reflect.Pointer && v.Kind() != reflect.Interface && strict.IsText(t) && !strict.IsEither(t) {
		return literal(v)
	}
	var items []string
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return "null"
		}
		return shown(v.Elem())
	case reflect.Slice:
		for i := range v.Len() {
			items = append(items, shown(v.Index(i)))
		}
		return "[" + strings.Join(items, ", ") + "]"
	case reflect.Map:
		for _, k := range sortedKeys(v) {
			items = append(items, shown(k)+": "+shown(v.MapIndex(k)))
		}
	case reflect.Struct:
		for _, f := range strict.Fields(t) {
			text := "***"
			if !f.Secret {
				text = shown(f.Of(v))
			}
			items = append(items, f.Name+": "+text)
		}
	default:
		return literal(v)
	}
	return "{" + strings.Join(items, ", ") + "}"
}
