package strict

import (
	"reflect"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// fault is what is wrong with a value, in words.
type fault struct{ Msg, Hint string }

// The nouns of scalars.
const (
	AText    = "text"
	ANumber  = "a number"
	ABool    = "true or false"
	NoScalar = ""
)

// Scalar returns a scalar as it is written, and what it is: one of the nouns.
func Scalar(n ast.Node) (text, noun string) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, AText
	case *ast.LiteralNode:
		return n.Value.Value, AText
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, ANumber
	case *ast.BoolNode:
		return n.Token.Value, ABool
	}
	return "", NoScalar
}

// NounOf says what a node is, for messages.
func NounOf(n ast.Node) string {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a map"
	case *ast.SequenceNode:
		return "a list"
	case *ast.NullNode:
		return "nothing"
	}
	text, noun := Scalar(n)
	switch noun {
	case "":
		return "something else"
	case ABool:
		return text
	case ANumber:
		return "the number " + text
	}
	return noun + " " + quote(text)
}

// listHint shows how to turn into a list what is none.
func listHint(n ast.Node) string {
	if isMap(n) {
		return "begin each item with -"
	}
	if text, noun := Scalar(n); noun != "" && len(text) <= 40 {
		return "write [" + text + "]"
	}
	return ""
}

// scalar fills v from a scalar, or reports why it cannot.
func (d *Decoder) scalar(n ast.Node, v reflect.Value, f Field) {
	text, noun := Scalar(n)
	why := mismatch(n, v, noun)
	if why == nil {
		why = setText(v, text, f)
	}
	if why != nil && f.Secret {
		why = &fault{"want " + wanted(v.Type()) + " of another form", ""}
	}
	if why != nil {
		d.wrong(n, f.Name, *why)
	}
}

// mismatch tells when a node cannot be what v holds, whatever its text.
func mismatch(n ast.Node, v reflect.Value, noun string) *fault {
	t := v.Type()
	switch {
	case noun == "":
		return &fault{"want " + wanted(t) + ", got " + NounOf(n), ""}
	case IsText(t), Words(t) != nil, t == durationType:
		return nil
	case t.Kind() == reflect.String && noun != AText:
		return &fault{"want text, got " + NounOf(n), `write "` + n.GetToken().Value + `"`}
	case t.Kind() == reflect.Bool && noun != ABool:
		return &fault{"want true or false, got " + NounOf(n), boolHint(n.GetToken().Value)}
	case isNumber(t) && noun != ANumber && !plain(n):
		return &fault{"want " + wanted(t) + ", got " + NounOf(n), ""}
	}
	return nil
}

// plain reports whether a text stands without quotes. The parser takes numbers
// that are too great for text.
func plain(n ast.Node) bool {
	s, ok := n.(*ast.StringNode)
	return ok && s.Token.Type == token.StringType
}

func isNumber(t reflect.Type) bool {
	return t.Kind() >= reflect.Int && t.Kind() <= reflect.Float64
}

// wanted says what values of a type are.
func wanted(t reflect.Type) string {
	words := Words(t)
	switch {
	case len(words) == 1:
		return words[0]
	case words != nil:
		return "one of " + strings.Join(words, ", ")
	case t == durationType:
		return "a duration such as 30s"
	case IsEither(t):
		return "text or a map"
	case t.Kind() == reflect.Bool:
		return ABool
	case isNumber(t) && t.Kind() < reflect.Float32:
		return "a whole number"
	case isNumber(t):
		return ANumber
	}
	return "text"
}
