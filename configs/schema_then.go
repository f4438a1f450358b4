package configs

import (
	"fmt"
	"maps"
	"slices"
)

// What may stand under then.
const (
	replyTextPattern  = `^[\n -~]{0,400}$`
	fieldValuePattern = `^[ -~]{0,900}$`
	wantReply         = "ASCII text of at most 400 octets"
	recipientPattern  = `^[!#-'*+\-./0-9=?A-Z^-~]+@([A-Za-z0-9._-]|[^ -~])+$`
)

// refusals are the verdicts that the client is told of, each with its reply code
// and the class of its enhanced status code.
var refusals = map[string]struct {
	doc   string
	code  object
	class string
}{
	"reject":   {"refuse for good", codes(500, 559, 521), "5"},
	"tempfail": {"refuse for now", codes(400, 459, 421), "4"},
	"hangup":   {"refuse with 421 or 521, and close the connection", oneWord([]string{"421", "521"}), "[45]"},
}

// codes is the schema of reply codes but for one, which closes the connection.
func codes(low, high, closing int) object {
	return object{
		"type":    []string{"integer", "string"},
		"minimum": low, "maximum": high, "not": object{"const": closing},
		"pattern": fmt.Sprintf("^%d[0-5][0-9]$", low/100),
	}
}

// others are the verdicts that it is not told of.
var others = map[string]string{
	"accept":     "no filter is asked any more, as the chain has it",
	"discard":    "acknowledge the message and drop it, for all its recipients",
	"quarantine": "let it pass, set aside",
	"ignore":     "ask no more rules",
}

// edits are what a message cannot have done that does not get through.
var edits = []string{"add_header", "replace_header", "remove_header", "redirect", "add_recipient"}

// thenSchema is what a rule does: a word, or a map with at most one verdict.
func thenSchema() object {
	properties := deeds()
	for name := range refusals {
		properties[name] = refusal(name)
	}
	for name, doc := range others {
		properties[name] = object{"enum": []any{true, nil}, "description": doc}
	}
	words := slices.Sorted(maps.Keys(refusals))
	refused := each(append(words, "discard"), needs)
	words = append(words, slices.Sorted(maps.Keys(others))...)
	verdicts := each(words, needs)
	without := object{}
	for _, name := range edits {
		without[name] = false
	}
	deed := mapping(properties)
	deed["minProperties"] = 1
	deed["oneOf"] = append(verdicts, object{"not": object{"anyOf": verdicts}})
	deed["if"] = object{"anyOf": refused}
	deed["then"] = object{"properties": without}
	return object{"anyOf": []any{object{"enum": words}, deed}}
}

func each(words []string, of func(string) object) []any {
	list := make([]any, len(words))
	for i, w := range words {
		list[i] = of(w)
	}
	return list
}

func needs(key string) object { return object{"required": []string{key}} }

// refusal is how a verdict is spelt to the client.
func refusal(name string) object {
	r := refusals[name]
	text := scalarLike(replyTextPattern, wantReply)
	text["description"] = "what to tell the client; {field} stands for what a field is"
	properties := object{
		"code": withDoc(orNull(r.code), "the reply code"),
		"text": orNull(text),
		"enhanced": withDoc(orNull(matching("^"+r.class+"[.][0-9]{1,3}[.][0-9]{1,3}$", "a code that agrees with that of the reply")),
			"the enhanced status code (RFC 3463), such as 5.7.1"),
	}
	return object{"description": r.doc, "anyOf": []any{
		object{"enum": []any{true, nil}},
		matching(replyTextPattern, wantReply),
		mapping(properties),
	}}
}

// deeds are what a rule may do besides, each with its schema.
func deeds() object {
	field := mapping(object{
		"name":  withDoc(matching(fieldPattern, wantField), "the field's name"),
		"value": withDoc(scalarLike(fieldValuePattern, "one line of ASCII text, of at most 900 octets"), "its value; {field} stands for what a field is"),
	}, "name", "value")
	fields := func() object { return object{"anyOf": []any{field, object{"type": "array", "items": field}}} }
	address := matching(recipientPattern, wantMailbox)
	redirect := oneOrSome(address)
	redirect["anyOf"].([]any)[1].(object)["maxItems"] = 1
	return object{
		"add_header":     withDoc(fields(), "fields to add at the end: a map with name and value, or a list of them"),
		"replace_header": withDoc(fields(), "fields to stand in place of all of their name: the same"),
		"remove_header":  withDoc(oneOrSome(scalarLike(fieldPattern, wantField)), "names of fields to take out"),
		"tag":            withDoc(oneOrSome(matching(slugPattern, wantSlug)), "words for the field tags"),
		"score":          object{"type": "integer", "minimum": -1000, "maximum": 1000, "not": object{"const": 0}, "description": "a number to add to the field score"},
		"delay":          withDoc(textOf(durationType), "let the client wait, up to 30s"),
		"redirect":       withDoc(redirect, "an address, in place of all recipients"),
		"add_recipient":  withDoc(oneOrSome(address), "addresses, besides the recipients"),
	}
}

// oneOrSome is the schema of one, or a list that is not empty.
func oneOrSome(one object) object {
	return object{"anyOf": []any{one, object{"type": "array", "items": one, "minItems": 1}}}
}

func withDoc(o object, doc string) object {
	o["description"] = doc
	return o
}
