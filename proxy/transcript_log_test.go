package proxy_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// A record is what a record of the log must say: its message, and some of its
// fields. It is written as YAML in one line:
//
//	refused: {id: "{s}.1", filter: rcpt, to: [a@example.com]}
//	# a remark
type record struct {
	text   string
	msg    string
	fields map[string]any
}

func parseRecords(t *testing.T, file, text string) []record {
	t.Helper()
	var records []record
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		asJSON, err := yaml.YAMLToJSON([]byte(line))
		var one map[string]map[string]any
		if err == nil {
			err = json.Unmarshal(asJSON, &one)
		}
		if err != nil || len(one) != 1 {
			t.Fatalf("%s: %q is no record: %v", file, line, err)
		}
		for msg, fields := range one {
			records = append(records, record{line, msg, fields})
		}
	}
	return records
}

// checkRecords compares the log with what it should say. A milter hears of no
// upstream's replies.
func checkRecords(t *testing.T, door string, words *words, want []record, log string) {
	t.Helper()
	for line := range strings.Lines(log) {
		var got map[string]any
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatalf("the log is no JSON: %q", line)
		}
		switch {
		case got["msg"] == "listening":
		case len(want) == 0:
			t.Errorf("the log has one record too many:\n%s", line)
		default:
			if _, wanted := want[0].fields["upstream_reply"]; wanted && door == milterDoor {
				want[0].fields["upstream_reply"] = nil
			}
			want[0].check(t, words, line, got)
			want = want[1:]
		}
	}
	for _, r := range want {
		t.Errorf("the log lacks\n%s", r.text)
	}
}

func (r record) check(t *testing.T, words *words, line string, got map[string]any) {
	t.Helper()
	if got["msg"] != r.msg {
		t.Errorf("want %s\ngot %s", r.text, line)
		return
	}
	for key, value := range r.fields {
		if !sameValue(words, value, got[key]) {
			t.Errorf("%s: want %v, got %v, in\n%s", key, value, got[key], line)
		}
	}
}

// sameValue compares a field's value with what is wanted. null wants the field
// to be missing, and "... text" only its end to be that text.
func sameValue(words *words, want, got any) bool {
	if pattern, ok := want.(string); ok {
		s, ok := got.(string)
		if end, cut := strings.CutPrefix(pattern, "... "); cut {
			return ok && strings.HasSuffix(s, end)
		}
		return ok && words.match(pattern, s)
	}
	return reflect.DeepEqual(want, got)
}
