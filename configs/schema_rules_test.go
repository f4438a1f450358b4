package configs_test

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/mailweir/mailweir/configs"
	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/standard"
	"github.com/mailweir/mailweir/rules"
)

func TestRulesSchemaTakesRightFiles(t *testing.T) {
	files := yamlBelow(t, "../rules/testdata/right")
	if len(files) == 0 {
		t.Fatal("no files")
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		fits(t, compile(t, configs.RulesSchema(append(standard.Kinds(), setter(t, data)))), file, data)
	}
}

// setter is a kind that sets the facts which the tests of a rule file set.
func setter(t *testing.T, data []byte) filters.Kind {
	t.Helper()
	var file struct {
		Tests []struct{ Facts map[string]any }
	}
	if err := yaml.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	k := filters.Kind{Name: "setter"}
	for _, test := range file.Tests {
		for name := range test.Facts {
			k.Sets = append(k.Sets, filters.FactInfo{Name: name, Doc: "a fact"})
		}
	}
	return k
}

func TestRulesSchemaRefusesWrongFiles(t *testing.T) {
	refuses(t, compile(t, configs.RulesSchema(standard.Kinds())), glob(t, "../rules/testdata/wrong/*.yaml"))
}

// TestRulesSchemaKnowsFields holds the schema to the fields and facts there are.
func TestRulesSchemaKnowsFields(t *testing.T) {
	fields := at(decode(t, configs.RulesSchema(standard.Kinds())), "$defs", "fields")
	for _, f := range rules.Fields() {
		name := strings.Replace(f.Name, "NAME", "dnsbl.score", 1)
		p := at(fields, "properties", name)
		for pattern, family := range at(fields, "patternProperties") {
			if regexp.MustCompile(pattern).MatchString(name) {
				p = family.(map[string]any)
			}
		}
		if doc, _ := p["description"].(string); doc == "" {
			t.Errorf("%s is not in the schema", f.Name)
		}
		if want := "#/$defs/" + f.Type.String(); p["$ref"] != want {
			t.Errorf("%s is %v, want %s", f.Name, p["$ref"], want)
		}
	}
	for _, k := range standard.Kinds() {
		for _, fact := range k.Sets {
			if at(fields, "properties", fact.Name) == nil || at(fields, "properties", "fact."+fact.Name) == nil {
				t.Errorf("the fact %s is not in the schema", fact.Name)
			}
		}
	}
}

// TestRulesSchemaKnowsWords holds the schema to the words that the compiler of
// rules names when it finds another.
func TestRulesSchemaKnowsWords(t *testing.T) {
	defs := at(decode(t, configs.RulesSchema(standard.Kinds())), "$defs")
	for rule, want := range map[string]map[string]any{
		"then: {zzzzzz: 1}":                            propertiesOf(at(defs, "then")),
		"then: {reject: {zzzzzz: 1}}":                  propertiesOf(at(defs, "then")["anyOf"].([]any)[1].(map[string]any)["properties"].(map[string]any)["reject"].(map[string]any)),
		"then: reject\n    match: {helo: {zzzzzz: 1}}": merged(propertiesOf(at(defs, "text")), propertiesOf(at(defs, "number"))),
	} {
		_, err := rules.Parse(rules.Options{}, "file", "", []byte("rules:\n  - name: r\n    "+rule+"\n"))
		if err == nil {
			t.Fatalf("%s is right", rule)
		}
		_, list, ok := strings.Cut(err.Error(), "known are ")
		if !ok {
			t.Fatal(err)
		}
		known := strings.Split(strings.TrimSpace(list), ", ")
		slices.Sort(known)
		if got := slices.Sorted(maps.Keys(want)); !slices.Equal(got, known) {
			t.Errorf("%s: the schema has %v, the compiler %v", rule, got, known)
		}
	}
}

func merged(a, b map[string]any) map[string]any {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// TestRulesSchemaTakes holds the schema to what the compiler takes, and refuses,
// in single rules.
func TestRulesSchemaTakes(t *testing.T) {
	schema := compile(t, configs.RulesSchema(standard.Kinds()))
	var facts []filters.FactInfo
	for _, k := range standard.Kinds() {
		facts = append(facts, k.Sets...)
	}
	for rule, want := range map[string]bool{
		"{name: r, then: reject}":                                                               true,
		"{name: r, then: {reject: }}":                                                           true,
		"{name: r, then: {reject: true}}":                                                       true,
		"{name: r, then: {reject: false}}":                                                      false,
		"{name: r, then: {reject: 550}}":                                                        false,
		"{name: r, then: {accept: }}":                                                           true,
		"{name: r, then: {accept: soon}}":                                                       false,
		"{name: r, then: {reject: {code: 554}}}":                                                true,
		"{name: r, then: {reject: {code: \"554\"}}}":                                            true,
		"{name: r, then: {reject: {code: 521}}}":                                                false,
		"{name: r, then: {reject: {code: 560}}}":                                                false,
		"{name: r, then: {hangup: {code: \"521\"}}}":                                            true,
		"{name: r, then: {hangup: {code: 550}}}":                                                false,
		"{name: r, then: {tempfail: {enhanced: 4.7.1}}}":                                        true,
		"{name: r, then: {tempfail: {enhanced: 5.7.1}}}":                                        false,
		"{name: r, then: {reject: A, tempfail: B}}":                                             false,
		"{name: r, then: {reject: A, tag: b}}":                                                  true,
		"{name: r, then: {reject: A, redirect: a@example.com}}":                                 false,
		"{name: r, then: {accept: true, redirect: a@example.com}}":                              true,
		"{name: r, then: {redirect: [a@example.com]}}":                                          true,
		"{name: r, then: {redirect: nobody}}":                                                   false,
		"{name: r, then: {delay: 5s}}":                                                          true,
		"{name: r, then: {delay: 5}}":                                                           false,
		"{name: r, then: {score: -3}}":                                                          true,
		"{name: r, then: {score: 0}}":                                                           false,
		"{name: r, then: {tag: }}":                                                              false,
		"{name: r, then: {add_header: {name: X-A, value: 5}}}":                                  true,
		"{name: r, then: {add_header: [{name: X-A, value: ä}]}}":                                false,
		"{name: r, then: {remove_header: []}}":                                                  false,
		"{name: r, then: {}}":                                                                   false,
		"{name: r, then: }":                                                                     false,
		"{name: R, then: reject}":                                                               false,
		"{name: error, then: reject}":                                                           false,
		"{name: r, then: reject, match: , unless: , when: , at: , action: , continue: , doc: }": true,
		"{name: r, then: reject, when: true}":                                                   true,
		"{name: r, then: reject, when: \"\"}":                                                   false,
		"{name: r, then: reject, at: body}":                                                     false,
		"{name: r, then: reject, match: {client: 192.0.2.1}}":                                   true,
		"{name: r, then: reject, match: {client: {exists: true}}}":                              false,
		"{name: r, then: reject, match: {client: \"::1\"}}":                                     true,
		"{name: r, then: reject, match: {helo: \"\"}}":                                          true,
		"{name: r, then: reject, match: {helo: }}":                                              false,
		"{name: r, then: reject, match: {helo: [\"[192.0.2.1]\", .größe.example, 12]}}":         true,
		"{name: r, then: reject, match: {helo: {matches: x, not: [a.example]}}}":                true,
		"{name: r, then: reject, match: {helo: {above: 3}}}":                                    false,
		"{name: r, then: reject, match: {helo: {in: nowhere.txt}}}":                             false,
		"{name: r, then: reject, match: {to: [a@, a@b, b.example, .b.example, \"\"]}}":          true,
		"{name: r, then: reject, match: {to: \"<a@b.example>\"}}":                               false,
		"{name: r, then: reject, match: {to: abuse}}":                                           false,
		"{name: r, then: reject, match: {size: {above: 10 MiB, below: 20971520}}}":              true,
		"{name: r, then: reject, match: {recipients: {above: 1.5, not: 7}}}":                    true,
		"{name: r, then: reject, match: {recipients: \"3\"}}":                                   false,
		"{name: r, then: reject, match: {esmtp: [true, false]}}":                                true,
		"{name: r, then: reject, match: {esmtp: \"true\"}}":                                     false,
		"{name: r, then: reject, match: {header.X-Y: {contains: 5}}}":                           true,
		"{name: r, then: reject, match: {\"header.X Y\": a}}":                                   false,
		"{name: r, then: reject, match: {from.param.SIZE: 5}}":                                  true,
		"{name: r, then: reject, match: {dnsbl.score: {above: 3, below: 9}}}":                   true,
		"{name: r, then: reject, match: {fact.dnsbl.zones: {contains: x}}}":                     true,
		"{name: r, then: reject, match: {fact.dnsbl.zoness: x}}":                                false,
	} {
		text := "rules:\n  - " + rule + "\n"
		_, err := rules.Parse(rules.Options{Facts: facts}, "file", "", []byte(text))
		if (err == nil) != want {
			t.Errorf("the compiler on %s: %v", rule, err)
		}
		v, err := value([]byte(text))
		if err != nil {
			t.Fatal(rule, err)
		}
		if err := schema.Validate(v); (err == nil) != want {
			t.Errorf("the schema on %s: %v", rule, err)
		}
	}
}
