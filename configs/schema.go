package configs

import (
	"bytes"
	"encoding/json"
	"reflect"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
	"github.com/mailweir/mailweir/rules"
	"github.com/mailweir/mailweir/rules/strict"
)

// draft is the dialect of the schemas. They keep to what draft 7 means the
// same by, which is what editors know.
const draft = "https://json-schema.org/draft/2020-12/schema"

// Schema returns the JSON Schema of the configuration file, with entries of
// those kinds, for editors to complete and check by. Its text depends on
// nothing else.
//
// What the schema takes may still be wrong: names that must be unique, bounds
// of durations, files that are not there. What it refuses is wrong, or spelt as
// nobody does, such as -0s. Keys that << merges in count, and whoever validates
// has to put them in place.
func Schema(kinds []filters.Kind) []byte {
	s := configSchemas(kinds)
	top := s.structure(reflect.ValueOf(file{Config: defaults()}))
	top["$schema"] = draft
	top["title"] = "mailweir configuration"
	top["description"] = "where clients connect, and the filters that are asked about them"
	return encode(top)
}

// RulesSchema returns the JSON Schema of rule files, whose rules may mention
// the facts that those kinds set. What holds of Schema holds of it.
func RulesSchema(kinds []filters.Kind) []byte {
	s := ruleSchemas()
	top := s.structure(reflect.ValueOf(rules.File{}))
	top["$schema"] = draft
	top["title"] = "mailweir rules"
	top["description"] = "the policy of an entry of kind rules, and its tests"
	top["$defs"] = ruleDefs(kinds)
	return encode(top)
}

// encode writes a schema. Keys are sorted.
func encode(schema object) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(schema); err != nil {
		panic(err) // it holds texts, numbers, bools, lists and maps of them
	}
	return b.Bytes()
}

// configSchemas knows the types of the configuration file that say less by
// their Go type than they read.
func configSchemas(kinds []filters.Kind) *schemas {
	s := &schemas{}
	s.own = map[reflect.Type]func(strict.Field) object{
		reflect.TypeFor[entries](): func(strict.Field) object {
			return object{"type": "array", "items": s.entry(kinds)}
		},
	}
	s.more = map[reflect.Type]func(object){
		reflect.TypeFor[file]():        func(o object) { property(o, "listeners")["minItems"] = 1 },
		reflect.TypeFor[DNS]():         func(o object) { property(o, "servers")["maxItems"] = maxNameServers },
		reflect.TypeFor[Listener]():    refineListener,
		reflect.TypeFor[Route]():       func(o object) { property(o, "domains")["minItems"] = 1 },
		reflect.TypeFor[Upstream]():    refineUpstream,
		reflect.TypeFor[UpstreamRef](): refineGroup,
		reflect.TypeFor[UpstreamTLS](): refineUpstreamTLS,
		reflect.TypeFor[TLS]():         refineTLS,
	}
	return s
}

// refineListener holds a listener to its mode, as checkMode does.
func refineListener(o object) {
	property(o, "relay_verbs")["items"] = matching("^[A-Za-z0-9]{1,32}$", "up to 32 letters and digits")
	property(o, "pass_keywords")["items"] = matching("^[A-Za-z0-9][A-Za-z0-9-]{0,254}$", "letters, digits and hyphens")
	socket := object{
		"pattern":             "^(unix|inet6?)(:|$)",
		"patternErrorMessage": "a milter listens on unix:/path, inet:host:port or inet6:host:port",
	}
	milter := object{"address": socket}
	for _, key := range ofRelay {
		milter[key] = object{"type": "null"}
	}
	o["if"] = object{"properties": object{"mode": object{"const": string(MTA)}}, "required": []string{"mode"}}
	o["then"] = object{"properties": milter}
	o["else"] = object{
		"properties": object{"address": object{"not": socket}, "upstream": object{"not": object{"type": "null"}}},
		"required":   []string{"upstream"},
	}
}

// entry returns the schema of an entry of the chain: one of the kinds, and the
// common keys.
func (s *schemas) entry(kinds []filters.Kind) object {
	o := s.structure(reflect.ValueOf(common{}))
	properties := o["properties"].(object)
	for _, p := range properties {
		delete(p.(object), "default") // it depends on the kind
	}
	choice := make([]any, len(kinds))
	for i, k := range kinds {
		properties[k.Name] = s.kind(k)
		choice[i] = object{"required": []string{k.Name}}
	}
	if len(choice) > 0 {
		o["oneOf"] = choice
	}
	return o
}

// kind returns the schema of what stands under a kind's name.
func (s *schemas) kind(k filters.Kind) object {
	o := s.structure(reflect.Indirect(reflect.ValueOf(k.Conf())))
	if o["required"] == nil {
		o = orNull(o)
	}
	doc := Summary(k)
	if k.Observe {
		doc += " With action: " + chain.Ignore.String() + " unless the entry spells another."
	}
	o["description"] = doc
	return o
}
