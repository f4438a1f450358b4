package configs

import (
	"reflect"
	"slices"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/rules"
)

// fieldValues are the schemas of one value of a field, by its type.
var fieldValues = map[rules.Type]object{
	rules.Text:    anyScalar(),
	rules.Domain:  scalarLike(`^(|\[.*|[.]?([A-Za-z0-9._-]|[^ -~])+)$`, wantDomain),
	rules.Mailbox: scalarLike(`^(|[^@<> ][^@]*@[^<> ]*|\[.*|([A-Za-z0-9._-]|[^ -~])*[.]([A-Za-z0-9._-]|[^ -~])*)$`, wantMailbox+", or a domain for all in it"),
	rules.Address: matching(netPattern, wantNet),
	rules.Number:  {"type": "number"},
	rules.Size:    texts["filters.Bytes"],
	rules.Bool:    {"type": "boolean"},
	rules.Free:    anyScalar(),
}

// An operator is what a map under a field may have.
type operator struct {
	name, doc string
	of        []rules.Type            // fields it is for
	value     func(rules.Type) object // what stands behind it
}

var (
	anyType  = []rules.Type{rules.Text, rules.Domain, rules.Mailbox, rules.Address, rules.Number, rules.Size, rules.Bool, rules.Free}
	textual  = []rules.Type{rules.Text, rules.Domain, rules.Mailbox, rules.Free}
	listable = append([]rules.Type{rules.Address}, textual...)
	amounts  = []rules.Type{rules.Number, rules.Size, rules.Free}
)

var operators = []operator{
	{"is", "it is that, or one of them", anyType, oneOrMore},
	{"not", "it is not that, nor one of them", anyType, oneOrMore},
	{"in", "it is in that list of the file", listable, func(rules.Type) object { return matching(slugPattern, "the name of a list") }},
	{"matches", "some of it matches a regular expression (RE2); (?i) for any case", textual, someText},
	{"contains", "it contains the text, in any case", textual, someText},
	{"above", "it is greater than that", amounts, amount},
	{"below", "it is less than that", amounts, amount},
	{"exists", "it is there: a text that is not empty, a header field", textual, func(rules.Type) object { return object{"type": "boolean"} }},
}

// matcherSchema is what a field of the type must be: a value, a list of them,
// or a map of operators.
func matcherSchema(t rules.Type) object {
	properties := object{}
	for _, op := range operators {
		if slices.Contains(op.of, t) {
			properties[op.name] = withDoc(op.value(t), op.doc)
		}
	}
	known := mapping(properties)
	known["minProperties"] = 1
	return object{"anyOf": append(oneOrMore(t)["anyOf"].([]any), known)}
}

func oneOrMore(t rules.Type) object { return oneOrSome(fieldValues[t]) }

func someText(rules.Type) object {
	o := anyScalar()
	o["minLength"] = 1
	return o
}

func amount(t rules.Type) object {
	if t == rules.Size {
		return textOf(reflect.TypeFor[filters.Bytes]())
	}
	return object{"type": "number"}
}
