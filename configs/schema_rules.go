package configs

import (
	"fmt"
	"maps"
	"reflect"
	"strings"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/rules"
	"github.com/mailweir/mailweir/rules/strict"
)

// slugPattern is that of the names of rules, lists and sets, and of tags.
const slugPattern = "^[a-z][a-z0-9_]{0,63}$"

func ref(def string) object { return object{"$ref": "#/$defs/" + def} }

// ruleSchemas knows the types of rule files that say less by their Go type than
// they read.
func ruleSchemas() *schemas {
	s := &schemas{}
	s.own = map[reflect.Type]func(strict.Field) object{
		reflect.TypeFor[rules.Word]():  func(strict.Field) object { return anyScalar() },
		reflect.TypeFor[rules.Point](): func(strict.Field) object { return oneWord(rules.Point{}.Words()) },
		reflect.TypeFor[rules.Raw]():   func(f strict.Field) object { return ref(rawDefs[f.Name]) },
		reflect.TypeFor[rules.Ordered[rules.List]](): func(strict.Field) object {
			return named(slugPattern, s.structure(reflect.ValueOf(rules.List{})))
		},
		reflect.TypeFor[rules.Ordered[rules.Set]](): func(strict.Field) object {
			return named(slugPattern, s.structure(reflect.ValueOf(rules.Set{})))
		},
	}
	s.more = map[reflect.Type]func(object){
		reflect.TypeFor[rules.Rule](): refineRule,
		reflect.TypeFor[rules.List](): refineList,
		reflect.TypeFor[rules.Set]():  refineSet,
		reflect.TypeFor[rules.Want](): func(o object) { o["minProperties"] = 1 },
	}
	return s
}

// rawDefs are the definitions of what the compiler of rules reads itself, by
// key.
var rawDefs = map[string]string{"match": "fields", "unless": "fields", "then": "then", "recipients": "mailbox"}

func refineRule(o object) {
	name := property(o, "name")
	maps.Copy(name, matching(slugPattern, wantSlug))
	name["not"] = object{"enum": []string{"other_policy", "error"}} // reasons of mailweir's own
	when := property(o, "when")
	when["type"], when["minLength"] = []string{"string", "boolean", "null"}, 1
}

// refineList holds a list to be of one sort, and its entries to that.
func refineList(o object) {
	property(o, "addresses")["items"] = matching(netPattern, wantNet)
	property(o, "domains")["items"] = scalarLike(domainPattern, wantDomain)
	words := anyScalar()
	words["minLength"] = 1
	property(o, "words")["items"] = words
	var sorts []any
	for _, name := range strict.Names(rules.List{}) {
		if !strings.HasSuffix(name, "_files") {
			sorts = append(sorts, object{"anyOf": []any{filled(name), filled(name + "_files")}})
		}
	}
	o["oneOf"] = sorts
}

// refineSet holds a set to be for somebody, and to have rules.
func refineSet(o object) {
	property(o, "rules")["minItems"] = 1
	somebody := object{"required": []string{"recipients"}, "properties": object{"recipients": object{"not": object{"type": "null"}}}}
	o["anyOf"] = []any{somebody, filled("listeners")}
}

// filled is the schema of objects that have something in the list at that key.
func filled(key string) object {
	return object{
		"required":   []string{key},
		"properties": object{key: object{"type": "array", "minItems": 1}},
	}
}

// ruleDefs are the definitions that rules refer to.
func ruleDefs(kinds []filters.Kind) object {
	defs := object{"fields": fieldsSchema(kinds), "then": thenSchema()}
	for t := range fieldValues {
		defs[t.String()] = matcherSchema(t)
	}
	return defs
}

// fieldsSchema is what stands under match: fields, each with what it must be.
func fieldsSchema(kinds []filters.Kind) object {
	properties := object{}
	fields := mapping(properties)
	families := fields["patternProperties"].(object)
	for _, k := range kinds {
		for _, fact := range k.Sets {
			for _, name := range []string{fact.Name, "fact." + fact.Name} {
				properties[name] = mention(rules.Free, fact.Doc+" (a fact that "+k.Name+" sets)")
			}
		}
	}
	for _, f := range rules.Fields() {
		doc := fmt.Sprintf("%s (%v, known from %v on)", f.Doc, f.Type, f.Stage)
		family, many := strings.CutSuffix(f.Name, "NAME")
		switch {
		case !many:
			properties[f.Name] = mention(f.Type, doc)
		case family != "fact.": // which are named above
			families["^"+strings.ReplaceAll(family, ".", "[.]")+strings.TrimPrefix(fieldPattern, "^")] = mention(f.Type, doc)
		}
	}
	return fields
}

func mention(t rules.Type, doc string) object {
	o := ref(t.String())
	o["description"] = doc
	return o
}
