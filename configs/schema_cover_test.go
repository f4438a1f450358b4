package configs_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/mailweir/mailweir/configs"
	"github.com/mailweir/mailweir/filters/standard"
)

// TestSchemaHasEverything holds every option, of the configuration and of every
// kind, to stand in the schema with its doc.
func TestSchemaHasEverything(t *testing.T) {
	top := decode(t, configs.Schema(allKinds()))
	covers(t, "the configuration", top, configs.Options(configs.Config{}))
	entry := at(top, "properties", "chain", "items")
	for _, k := range allKinds() {
		node := at(entry, "properties", k.Name)
		if doc, _ := node["description"].(string); !strings.HasPrefix(doc, configs.Summary(k)) {
			t.Errorf("%s: described as %q", k.Name, doc)
		}
		covers(t, k.Name, node, configs.Options(k.Conf()))
	}
	for _, key := range []string{"name", "action", "on_error", "timeout", "listeners", "quarantine"} {
		if at(entry, "properties", key)["description"] == nil {
			t.Errorf("entries have no %s", key)
		}
	}
}

func covers(t *testing.T, where string, node map[string]any, options []configs.Option) {
	t.Helper()
	if len(options) == 0 {
		return
	}
	properties := propertiesOf(node)
	if len(properties) != len(options) && where != "the configuration" { // which has chain besides
		t.Errorf("%s: %d options, and %d in the schema", where, len(options), len(properties))
	}
	for _, o := range options {
		p, ok := properties[o.Name].(map[string]any)
		if !ok {
			t.Errorf("%s: %s is not in the schema", where, o.Name)
			continue
		}
		if doc, _ := p["description"].(string); !strings.HasPrefix(doc, o.Doc) {
			t.Errorf("%s: %s is described as %q", where, o.Name, doc)
		}
		covers(t, where+", "+o.Name, p, o.Keys)
	}
}

// propertiesOf finds the properties of an object, of the items of a list, or of
// the values of a map.
func propertiesOf(node map[string]any) map[string]any {
	if p, ok := node["properties"].(map[string]any); ok {
		return p
	}
	for _, key := range []string{"items", "additionalProperties"} {
		if inner, ok := node[key].(map[string]any); ok {
			return propertiesOf(inner)
		}
	}
	list, _ := node["anyOf"].([]any)
	for _, item := range list {
		if p := propertiesOf(item.(map[string]any)); p != nil {
			return p
		}
	}
	return nil
}

func decode(t *testing.T, text []byte) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func at(node map[string]any, path ...string) map[string]any {
	for _, key := range path {
		node, _ = node[key].(map[string]any)
	}
	return node
}

// TestSchemaDefaults holds each default to be what its own schema takes, and
// each property to say what it takes.
func TestSchemaDefaults(t *testing.T) {
	for name, text := range map[string][]byte{
		"configuration": configs.Schema(standard.Kinds()),
		"rules":         configs.RulesSchema(standard.Kinds()),
	} {
		top := decode(t, text)
		defaults := 0
		eachProperty(name, top, func(where string, p map[string]any) {
			if !slices.ContainsFunc([]string{"type", "enum", "anyOf", "$ref"}, func(key string) bool { return p[key] != nil }) {
				t.Errorf("%s takes anything", where)
			}
			if inner, ok := p["properties"].(map[string]any); ok && len(inner) == 0 {
				t.Errorf("%s is a map without keys", where)
			}
			if p["description"] == nil {
				t.Errorf("%s is not described", where)
			}
			value, ok := p["default"]
			if !ok {
				return
			}
			defaults++
			own := map[string]any{"$schema": top["$schema"], "$defs": top["$defs"], "allOf": []any{p}}
			if top["$defs"] == nil {
				delete(own, "$defs")
			}
			text, err := json.Marshal(own)
			if err != nil {
				t.Fatal(err)
			}
			if err := compile(t, text).Validate(value); err != nil {
				t.Errorf("%s: its default %v: %v", where, value, err)
			}
		})
		if defaults < 10 {
			t.Errorf("%s: only %d defaults", name, defaults)
		}
	}
}

// eachProperty visits the properties of all objects in a schema, but for those
// that only restrict others.
func eachProperty(where string, node any, do func(string, map[string]any)) {
	switch node := node.(type) {
	case []any:
		for i, item := range node {
			eachProperty(fmt.Sprint(where, " ", i), item, do)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(node)) {
			if slices.Contains([]string{"if", "then", "else", "not", "oneOf"}, key) && where != "rules $defs" || node["required"] != nil && node["type"] == nil {
				continue
			}
			if list, ok := node[key].(map[string]any); ok && key == "properties" && node["type"] != nil {
				for name, p := range list {
					do(where+" "+name, p.(map[string]any))
				}
			}
			eachProperty(where+" "+key, node[key], do)
		}
	}
}
