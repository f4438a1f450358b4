package configs_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/rogpeppe/go-internal/txtar"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/mailweir/mailweir/configs"
	"github.com/mailweir/mailweir/filters/standard"
)

// compile makes a validator of a schema, which it holds to its draft's own
// schema.
func compile(t *testing.T, text []byte) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("file.json", doc); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("file.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

// value reads YAML as editors do, with what merge keys bring in.
func value(data []byte) (any, error) {
	var v any
	if err := yaml.Unmarshal(data, &v); err != nil {
		return nil, err
	}
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return jsonschema.UnmarshalJSON(bytes.NewReader(text))
}

// fits holds that a file which is right is so by the schema too.
func fits(t *testing.T, schema *jsonschema.Schema, name string, data []byte) {
	t.Helper()
	v, err := value(data)
	if err == nil {
		err = schema.Validate(v)
	}
	if err != nil {
		t.Errorf("%s:\n%v", name, err)
	}
}

// TestSchemaIsOne holds the schemas to their draft, and to draft 7, which
// editors take them for.
func TestSchemaIsOne(t *testing.T) {
	for name, text := range map[string][]byte{
		"configuration": configs.Schema(allKinds()),
		"rules":         configs.RulesSchema(allKinds()),
	} {
		compile(t, text)
		older := bytes.ReplaceAll(text, []byte("https://json-schema.org/draft/2020-12/schema"), []byte("http://json-schema.org/draft-07/schema#"))
		if bytes.Equal(text, older) {
			t.Errorf("%s: the draft is not named", name)
		}
		compile(t, older)
	}
}

// TestSchemaIsStable holds that a schema depends on its kinds alone.
func TestSchemaIsStable(t *testing.T) {
	for range 5 {
		if !bytes.Equal(configs.Schema(allKinds()), configs.Schema(allKinds())) || !bytes.Equal(configs.RulesSchema(allKinds()), configs.RulesSchema(allKinds())) {
			t.Fatal("made twice, it is not the same")
		}
	}
}

// TestSchemaTakesFiles holds all that we tell people to write to be right by the
// schemas.
func TestSchemaTakesFiles(t *testing.T) {
	config, rules := compile(t, configs.Schema(standard.Kinds())), compile(t, configs.RulesSchema(standard.Kinds()))
	files := slices.Concat(glob(t, "default.yaml"), glob(t, "../cmd/mailweir/demo.yaml"), yamlBelow(t, "examples"))
	if len(files) < 4 {
		t.Fatal(files)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		schema := config
		if !regexp.MustCompile(`(?m)^(listeners|chain):`).Match(data) {
			schema = rules
		}
		fits(t, schema, file, data)
	}
	for _, file := range append(glob(t, "../cmd/mailweir/docs/*.md"), glob(t, "../README.md")...) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range yamlBlock.FindAllStringSubmatch(string(text), -1) {
			fits(t, config, file, []byte(whole(block[1])))
		}
	}
	for _, kind := range standard.Kinds() {
		_, rest, _ := strings.Cut(kind.Doc, "\nExample:\n\n")
		if example, _, ok := strings.Cut(rest, "\n\n"); ok {
			fits(t, config, kind.Name, []byte(whole("chain:\n"+example+"\n")))
		}
	}
}

func yamlBelow(t *testing.T, dir string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if filepath.Ext(path) == ".yaml" {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestSchemaTakesTranscripts does it with the configurations of the front ends'
// tests.
func TestSchemaTakesTranscripts(t *testing.T) {
	schema := compile(t, configs.Schema(standard.Kinds()))
	seen := 0
	for _, file := range glob(t, "../proxy/testdata/*.txtar") {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range archive.Files {
			if filepath.Ext(part.Name) != ".yaml" {
				continue
			}
			text := []byte(whole(string(part.Data)))
			if _, err := configs.Parse(standard.Kinds(), part.Name, text); err == nil {
				seen++
				fits(t, schema, file, text)
			}
		}
	}
	if seen == 0 {
		t.Error("there are none")
	}
}

// told are messages about what a schema can tell too.
var told = regexp.MustCompile(`unknown (key|matcher)|(match|unless): unknown field|want (one of|text|a list|a map|a whole number|a number|true or false|a duration such|host:port)|has no value|is missing|the list is empty`)

// refuses holds that files which are wrong in a way that a schema can tell are
// so by the schema.
func refuses(t *testing.T, schema *jsonschema.Schema, files []string) {
	t.Helper()
	seen := 0
	for _, file := range files {
		message, err := os.ReadFile(strings.TrimSuffix(file, ".yaml") + ".golden")
		if err != nil {
			t.Fatal(err)
		}
		if !told.Match(message) {
			continue
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		v, err := value(data)
		if err != nil {
			continue // no YAML to begin with
		}
		seen++
		if schema.Validate(v) == nil {
			t.Errorf("%s is right by the schema\n%s", file, message)
		}
	}
	if seen < 20 {
		t.Errorf("only %d files", seen)
	}
}

func TestSchemaRefusesWrongFiles(t *testing.T) {
	refuses(t, compile(t, configs.Schema(allKinds())), glob(t, "testdata/*.yaml"))
}

// TestSchemaTakes holds the schema to what the decoder takes, and refuses, in
// single values.
func TestSchemaTakes(t *testing.T) {
	schema := compile(t, configs.Schema(allKinds()))
	for text, want := range map[string]bool{
		"":                                             true,
		"chain:\n":                                     true,
		"chain: []\n":                                  true,
		"chain:\n  - verbs:\n":                         true,
		"chain:\n  - verbs: {}\n":                      true,
		"chain:\n  -\n":                                false,
		"chain:\n  - observed: {}\n":                   true,
		"chain:\n  - observed: {x: 1}\n":               false,
		"chain:\n  - verbs: {vrfy: 252}\n":             true,
		"chain:\n  - verbs: {vrfy: \"252\"}\n":         true,
		"chain:\n  - verbs: {vrfy: 250}\n":             false,
		"chain:\n  - helo: {resolves: \"true\"}\n":     true,
		"chain:\n  - helo: {resolves: ignore}\n":       true,
		"chain:\n  - helo: {fqdn: ignore}\n":           false,
		"chain:\n  - helo: {fqdn: }\n":                 true,
		"chain:\n  - helo: {exempt: [\"1::/16\"]}\n":   true,
		"chain:\n  - helo: {exempt: [home.example]}\n": false,
		"chain:\n  - helo: {exempt: [10.0.0.0/8, 192.168.255.1, 0.0.0.0/0, \"::ffff:192.0.2.0/120\", \"::/0\"]}\n": true,
		"chain:\n  - helo: {exempt: [192.0.2.256]}\n":                                                              false,
		"chain:\n  - helo: {exempt: [192.0.2.0/33]}\n":                                                             false,
		"chain:\n  - helo: {exempt: [192.0.2]}\n":                                                                  false,
		"chain:\n  - headers: {remove: [X-*, X-Spam]}\n":                                                           true,
		"chain:\n  - headers: {remove: [\"*\"]}\n":                                                                 false,
		"chain:\n  - headers: {trace_name: \"X:\"}\n":                                                              false,
		"chain:\n  - headers: {add: [{name: X, value: 5}]}\n":                                                      true,
		"chain:\n  - headers: {add: [{name: X, value: \" \"}]}\n":                                                  false,
		"chain:\n  - verbs: {block: [etrn]}\n":                                                                     true,
		"chain:\n  - verbs: {block: [E-TRN]}\n":                                                                    false,
		"chain:\n  - rdns: {generic_words: [Dial]}\n":                                                              true,
		"chain:\n  - rdns: {generic_words: [dial-up]}\n":                                                           false,
		"chain:\n  - rcpt: {domains: [.größe.example]}\n":                                                          true,
		"chain:\n  - rcpt: {domains: [\"*.example\"]}\n":                                                           false,
		"chain:\n  - dnsbl: {zones: [{zone: a.b, answers: [{match: \"127.0.*.[2;4..6]\"}]}]}\n":                    true,
		"chain:\n  - dnsbl: {zones: [{zone: a.b, answers: [{match: listed}]}]}\n":                                  false,
		"chain:\n  - {helo: , quarantine: {header: \"X-Q: yes\", redirect: a@b}}\n":                                true,
		"chain:\n  - {helo: , quarantine: {header: yes}}\n":                                                        false,
		"chain:\n  - {helo: , quarantine: {redirect: nobody}}\n":                                                   false,
		"chain:\n  - dnsbl:\n":                                                                                     false,
		"chain:\n  - dnsbl: {zones: [a.example]}\n":                                                                true,
		"chain:\n  - dnsbl: {zones: [{zone: a}]}\n":                                                                true,
		"chain:\n  - dnsbl: {zones: [{name: a}]}\n":                                                                false,
		"chain:\n  - size: {max: 50MiB}\n":                                                                         true,
		"chain:\n  - size: {max: 52428800}\n":                                                                      true,
		"chain:\n  - size: {max: 50M}\n":                                                                           false,
		"chain:\n  - access: {reload: 1m30s}\n":                                                                    true,
		"chain:\n  - access: {reload: 1.5h}\n":                                                                     true,
		"chain:\n  - access: {reload: 10}\n":                                                                       false,
		"chain:\n  - access: {reload: -10s}\n":                                                                     false,
		"chain:\n  - &a {helo: }\n  - {<<: *a, name: b}\n":                                                         true,
		"chain:\n  - probe: {free: [1, a]}\n":                                                                      true,
		"chain:\n  - probe: {ports: {a: 1}}\n":                                                                     true,
		"chain:\n  - probe: {ports: {a: 0}}\n":                                                                     false,
		"chain:\n  - probe: {ports: {a: }}\n":                                                                      false,
		"chain:\n  - probe: {count: 255}\n":                                                                        true,
		"dns: {servers: [192.0.2.1, \"[::1]:53\"]}\n":                                                              true,
		"log:\n":                              true,
		"log: {level: }\n":                    true,
		"hostname: mx_1.example.org\n":        true,
		"admin: {address: unix:/run/admin}\n": true,
		"admin: {address: \"[::1]:90\"}\n":    true,
	} {
		text += listener
		_, err := configs.Parse(allKinds(), "file", []byte(text))
		if (err == nil) != want {
			t.Errorf("the decoder on\n%s: %v", text, err)
		}
		v, err := value([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(v); (err == nil) != want {
			t.Errorf("the schema on\n%s: %v", text, err)
		}
	}
}

// TestSchemaTakesMergeKeys holds that a validator which leaves merge keys where
// they are has nothing against them.
func TestSchemaTakesMergeKeys(t *testing.T) {
	schema := compile(t, configs.Schema(standard.Kinds()))
	text := `{"listeners": [{"name": "mx", "address": ":25", "upstream": {"address": "a:25", "<<": {}}}], "<<": [{"log": {}}], "log": {"<<": {}}}`
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(v); err != nil {
		t.Error(err)
	}
}
