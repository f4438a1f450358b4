package strict

import (
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// Source is a file's text, by which problems show their line.
type Source struct {
	Name  string
	lines []string
}

// NewSource splits a file into lines, at the line ends that YAML knows.
func NewSource(name string, data []byte) *Source {
	text := strings.ReplaceAll(string(data), "\r\n", "\n")
	text = strings.ReplaceAll(text, "\r", "\n")
	return &Source{name, strings.Split(text, "\n")}
}

// Pos is a place in a file: line and column in characters, from 1.
type Pos struct{ Line, Col int }

// At returns the problem at that place.
func (s *Source) At(pos Pos, msg, hint string) Problem {
	p := Problem{Where: s.Name, Line: pos.Line, Col: pos.Col, Msg: msg, Hint: hint}
	p.Source = s.line(pos.Line)
	return p
}

// line returns the line of that number, "" if there is none.
func (s *Source) line(number int) string {
	if number < 1 || number > len(s.lines) {
		return ""
	}
	return s.lines[number-1]
}

// PosOf returns where a node begins. The parser's own notion of it is the
// colon for mappings and the first line of text for block scalars.
func PosOf(n ast.Node) Pos {
	switch n := n.(type) {
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return PosOf(n.Values[0])
		}
	case *ast.MappingValueNode:
		if n.Key != nil {
			return PosOf(n.Key)
		}
	case *ast.LiteralNode:
		return Pos{n.Start.Position.Line, n.Start.Position.Column}
	}
	if t := n.GetToken(); t != nil && t.Position != nil {
		return Pos{t.Position.Line, max(1, t.Position.Column)}
	}
	return Pos{1, 1}
}
