package configs

import (
	"encoding"
	"maps"
	"math"
	"reflect"
	"slices"
	"time"

	"github.com/mailweir/mailweir/rules"
	"github.com/mailweir/mailweir/rules/strict"
)

// Patterns of texts, in the syntax that RE2 and ECMA 262 share. They take all
// that the types themselves do, and refuse what is often written instead.
const (
	durationPattern = `^[+]?(([0-9]+([.][0-9]*)?|[.][0-9]+)(ns|us|µs|μs|ms|s|m|h))+$`
	sizePattern     = `^[0-9]+ *([kKmMgG][iI]?[bB]|[bB])?$`
	octetPattern    = `(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])`
	netPattern      = `^(` + octetPattern + `([.]` + octetPattern + `){3}(/(3[0-2]|[12]?[0-9]))?|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*(/(12[0-8]|1[01][0-9]|[1-9]?[0-9]))?)$`
	domainPattern   = `^[.]?([A-Za-z0-9._-]|[^ -~])+$`
	fieldPattern    = `^[!-9;-~]+$`
	hostPattern     = `([A-Za-z0-9._-]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(%.+)?)`
	portPattern     = `[+]?[0-9]+`
	mailboxPattern  = `^[^@\s<>]+@[^\s<>]+$`
	ownPattern      = `([^:\[\]\s]*|\[[^\[\]\s]*\]):` + portPattern
)

// formats are the schemas of the values of the tag "format", which no empty text
// is held to.
var formats = map[string]object{
	"host":   matching(`^(|`+hostPattern+`)$`, "a host name such as mx.example.org"),
	"socket": matching(`^(|unix:/.{0,106}|(inet6?:)?`+ownPattern+`)$`, "host:port, unix:/path, inet:host:port or inet6:host:port"),
	"admin":  matching(`^(|unix:/.{0,106}|`+ownPattern+`)$`, "host:port or unix:/path"),
	"dial":   matching(`^(|([^:\[\]\s]+|\[[^\[\]\s]+\]):`+portPattern+`)$`, "host:port"),
}

// formatted returns the schema of a text of that format, "" for any.
func formatted(format string) object {
	if o, ok := formats[format]; ok {
		return maps.Clone(o)
	}
	return object{"type": "string"}
}

// texts are the schemas of types that read a text, by package and name: the
// kinds' own types are not known here. Those that are not among them may be any
// scalar.
var texts = map[string]object{
	"time.Duration":         matching(durationPattern, "a duration such as 30s"),
	"filters.Bytes":         within(0, math.MaxInt64, matching(sizePattern, "octets such as 52428800, or a size such as 50MiB")),
	"ipset.Net":             matching(netPattern, wantNet),
	"domains.Pattern":       scalarLike(domainPattern, wantDomain),
	"dnsbl.Pattern":         matching(`^[0-9.*&;/\[\] ]+$`, "a pattern of answers such as 127.0.0.[2..11]"),
	"headers.Name":          scalarLike(`^[!-9;-~]{1,64}$`, wantField),
	"headers.Pattern":       scalarLike(`^[!-)+-9;-~]{1,64}[*]?$`, wantField+", with * at its end for all that begin so"),
	"headers.Template":      scalarLike(`\S`, "a value"),
	"rdns.Word":             scalarLike(`^[A-Za-z]+$`, "letters a to z"),
	"verbs.Verb":            scalarLike(`^[A-Za-z0-9]+$`, "letters and digits, such as ETRN"),
	"configs.NameServer":    matching(`^\[?[0-9A-Fa-f:.]+(%[^\]]+)?\]?(:[0-9]+)?$`, "an address such as 192.0.2.53 or 192.0.2.53:5353"),
	"configs.Permissions":   within(0, 777, matching(`^(0o)?0*[0-7]{1,3}$`, "permissions in octal digits such as 0660")),
	"configs.ServerAddress": matching(serverPattern, "host:port, unix:/path, srv:_service._proto.domain or mx:domain"),
	"configs.UpstreamRef":   scalarLike(groupPattern, "the name of a group in upstreams, or a map"),
	"configs.Domain":        scalarLike(domainPattern, wantDomain),
	"configs.Fingerprint":   scalarLike(`^:*([0-9A-Fa-f]:*){64}$`, "64 hex digits, with or without colons"),
	"configs.headerField":   matching(`^[^:\s][^:]*:\s*\S`, "a header field: Name: value"),
	"configs.mailbox":       matching(mailboxPattern, wantMailbox),
	"rules.Answer":          oneWord(rules.AnswerWord("").Words()),
	"rules.Want":            oneWord(rules.AnswerWord("").Words()),
}

// What texts must look like, in words.
const (
	wantNet     = "an address or a network such as 192.0.2.0/24"
	wantDomain  = "a domain such as example.com, or .example.com for it and all below it"
	wantMailbox = "an address such as user@example.com"
	wantField   = "the name of a header field such as X-Client"
	wantSlug    = "lower-case letters, digits and _, such as no_dialups"
)

// textOf returns the schema of a type that reads a text.
func textOf(t reflect.Type) object {
	if o, ok := texts[t.String()]; ok {
		return maps.Clone(o)
	}
	return anyScalar()
}

// matching returns the schema of texts of a pattern. Those who edit are told
// what is wanted in its place, by editors that know the keyword for it.
func matching(pattern, want string) object {
	return object{"type": "string", "pattern": pattern, "patternErrorMessage": "want " + want}
}

// scalarLike returns the schema of what is read as it is written, be it a text
// of the pattern, a number or a bool.
func scalarLike(pattern, want string) object {
	o := matching(pattern, want)
	o["type"] = []string{"string", "number", "boolean"}
	return o
}

func anyScalar() object { return object{"type": []string{"string", "number", "boolean"}} }

// within lets a text be a whole number too.
func within(low, high int, text object) object {
	text["type"], text["minimum"] = []string{"integer", "string"}, low
	if high < math.MaxInt64 {
		text["maximum"] = high
	}
	return text
}

// defaultOf returns a field's default as JSON has it, and false when there is
// none to speak of: nothing, or a map with defaults of its own.
func defaultOf(v reflect.Value) (any, bool) {
	if words := strict.Words(v.Type()); words != nil {
		text, ok := spelt(v)
		return plainWord(text), ok && slices.Contains(words, text)
	}
	if text, ok := spelt(v); ok {
		return text, text != ""
	}
	switch v.Kind() {
	case reflect.Bool, reflect.String, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return v.Interface(), true
	case reflect.Slice:
		return defaultItems(v)
	}
	return nil, false
}

func defaultItems(v reflect.Value) (any, bool) {
	items := make([]any, v.Len())
	for i := range items {
		item, ok := defaultOf(v.Index(i))
		if !ok {
			return nil, false
		}
		items[i] = item
	}
	return items, !v.IsNil()
}

// spelt returns the text of a value that is written as one, though it is none
// in Go.
func spelt(v reflect.Value) (string, bool) {
	if v.Kind() == reflect.Pointer {
		return "", false
	}
	switch x := v.Interface().(type) {
	case time.Duration:
		return duration(x), true
	case encoding.TextMarshaler:
		text, err := x.MarshalText()
		return string(text), err == nil
	}
	return v.String(), v.Kind() == reflect.String && (strict.IsText(v.Type()) || strict.Words(v.Type()) != nil)
}
