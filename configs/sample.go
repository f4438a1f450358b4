package configs

import (
	_ "embed" // default.yaml
	"fmt"
	"reflect"
	"strings"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/rules/strict"
)

//go:embed default.yaml
var defaultYAML []byte

// Default returns default.yaml: the sample with all standard kinds.
func Default() []byte { return defaultYAML }

// sampleWidth is the longest line of the sample, where words allow it.
const sampleWidth = 100

const sampleHead = `The configuration of mailweir: every option with its default, and one listener.

An option that is commented out is in force as it stands here. Durations are written 500ms, 30s, 5m or 1h. The settings hostname, log, drain_timeout, user, group, sessions.max, sessions.max_per_client, state.file and admin.address can be set by the environment (MAILWEIR_LOG_LEVEL) and by flags (--log-level) too, which go before this file.`

// Sample returns a commented configuration: all options with their defaults, a
// listener, and a chain with those kinds. Its text depends on nothing else.
func Sample(kinds []filters.Kind) string {
	var s sample
	s.paragraphs(0, sampleHead)
	c := defaults()
	mx := Listener{}
	mx.SetDefaults()
	mx.Name, mx.Address = "mx", ":25"
	mx.Upstream.Address = ServerAddress{Host: "127.0.0.1", Port: 10025}
	v := reflect.ValueOf(&c).Elem()
	for _, f := range strict.Fields(v.Type()) {
		s.line(0, "")
		if f.Name != "listeners" {
			s.option(0, f, f.Of(v))
			continue
		}
		s.comment(0, f.Doc)
		s.line(0, "listeners:")
		s.item(reflect.ValueOf(mx))
	}
	s.chain(kinds)
	return s.String()
}

// sample is the text as it grows.
type sample struct{ strings.Builder }

// line adds a line; indent is in columns.
func (s *sample) line(indent int, text string) {
	s.WriteString(strings.TrimRight(strings.Repeat(" ", indent)+text, " ") + "\n")
}

// comment adds a text, wrapped.
func (s *sample) comment(indent int, text string) {
	for _, line := range Wrap(text, sampleWidth-indent-len("# ")) {
		s.line(indent, "# "+line)
	}
}

// paragraphs adds texts that are separated by empty lines.
func (s *sample) paragraphs(indent int, text string) {
	for i, p := range strings.Split(text, "\n\n") {
		if i > 0 {
			s.line(indent, "#")
		}
		s.comment(indent, p)
	}
}

// option adds one option with its doc. Only what must be there, what is there
// though it has no default, and what holds other options, is not commented out.
func (s *sample) option(indent int, f strict.Field, v reflect.Value) {
	s.comment(indent, f.Doc)
	_, isAddress := v.Interface().(ServerAddress)
	switch {
	case v.Kind() == reflect.Struct && (!strict.IsText(f.Type) || strict.IsEither(f.Type)):
		s.line(indent, f.Name+":")
		s.options(indent+2, v)
	case f.Required, isAddress && !v.IsZero():
		s.value(indent, "", f.Name+": "+literal(v))
	default:
		s.value(indent, "#", f.Name+": "+literal(v))
	}
}

// value adds an option's line, or several where a list is long. Those after the
// first stand deeper.
func (s *sample) value(indent int, sign, text string) {
	width := sampleWidth - indent - len(sign)
	for len(text) > width {
		end := strings.LastIndex(text[:width], ", ")
		if end < 0 {
			break
		}
		s.line(indent, sign+text[:end+1])
		text = "  " + text[end+2:]
	}
	s.line(indent, sign+text)
}

func (s *sample) options(indent int, v reflect.Value) {
	for _, f := range strict.Fields(v.Type()) {
		s.option(indent, f, f.Of(v))
	}
}

// item adds a struct as the item of a list.
func (s *sample) item(v reflect.Value) {
	var inner sample
	inner.options(4, v)
	text := inner.String()
	doc, rest, _ := strings.Cut(text, "\n") // the first option's doc goes before the dash
	s.line(2, strings.TrimSpace(doc))
	s.WriteString("  - " + strings.TrimPrefix(rest, "    "))
}

// chain adds an entry for each kind.
func (s *sample) chain(kinds []filters.Kind) {
	s.line(0, "")
	s.paragraphs(0, "the filters in the order in which they are asked; beside its kind, an entry may have:")
	v := reflect.ValueOf(common{})
	for _, f := range strict.Fields(v.Type()) {
		s.comment(0, fmt.Sprintf("- %s (%s): %s", f.Name, typeName(f.Type), f.Doc))
	}
	s.line(0, "chain:")
	for i, k := range kinds {
		if i > 0 {
			s.line(0, "")
		}
		s.comment(2, Summary(k))
		s.line(2, "- "+k.Name+":")
		s.options(6, reflect.Indirect(reflect.ValueOf(k.Conf())))
	}
}

// Wrap breaks a text into lines of at most width octets, where its words let
// it.
func Wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

// Summary returns the first sentence of a kind's manual.
func Summary(k filters.Kind) string {
	paragraph, _, _ := strings.Cut(strings.TrimSpace(k.Doc), "\n\n")
	text := strings.Join(strings.Fields(paragraph), " ")
	if i := strings.Index(text, ". "); i >= 0 {
		return text[:i+1]
	}
	return text
}
