package strict

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
)

// Bounds of what is read. They are far beyond what an administrator writes,
// and keep the parser's time and stack within reason.
const (
	MaxSize       = 1 << 19 // octets of a file
	maxNesting    = 64      // levels
	maxKeys       = 10_000  // of a mapping, for which the parser takes quadratic time
	maxAllKeys    = 60_000  // in the whole file, those of aliases not counted
	maxEmptyLines = 100     // in a row: the lexer takes quadratic time for them
	maxNodes      = 250_000 // values read, those of aliases counted each time
	maxProblems   = 50
)

// Document is a parsed file.
type Document struct {
	*Source
	Body    ast.Node // nil when the file is empty
	aliases map[*ast.AliasNode]ast.Node
}

// Parse reads YAML. Its problem is the first breach of syntax.
func Parse(name string, data []byte) (doc *Document, problems Problems) {
	doc = &Document{Source: NewSource(name, data)}
	defer func() {
		if p := recover(); p != nil {
			problems = Problems{{Where: name, Msg: fmt.Sprintf("the YAML parser failed: %v", p)}}
		}
	}()
	if pos, msg := doc.unreadable(data); msg != "" {
		return doc, Problems{doc.At(pos, msg, "")}
	}
	tokens := lexer.Tokenize(string(data))
	if pos, msg := excess(tokens); msg != "" {
		return doc, Problems{doc.At(pos, msg, "")}
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return doc, Problems{doc.syntax(err)}
	}
	for _, d := range file.Docs {
		switch {
		case d.Body == nil:
		case doc.Body != nil:
			return doc, Problems{doc.At(PosOf(d.Body), "a second document begins here", "write all into one, without ---")}
		default:
			doc.Body = d.Body
		}
	}
	doc.aliases = aliases(doc.Body)
	return doc, nil
}

// unreadable tells what keeps the data from being parsed at all.
func (s *Source) unreadable(data []byte) (Pos, string) {
	if len(data) > MaxSize {
		return Pos{}, fmt.Sprintf("longer than %d octets", MaxSize)
	}
	empty := 0
	for i, line := range s.lines {
		if !utf8.ValidString(line) {
			return Pos{i + 1, 1}, "not UTF-8 text"
		}
		if strings.TrimSpace(line) != "" {
			empty = 0
		} else if empty++; empty > maxEmptyLines {
			return Pos{i + 1, 1}, fmt.Sprintf("more than %d empty lines in a row", maxEmptyLines)
		}
	}
	return Pos{}, ""
}

// syntax places the parser's error.
func (s *Source) syntax(err error) Problem {
	var e *yaml.SyntaxError
	if !errors.As(err, &e) || e.Token == nil || e.Token.Position == nil {
		return Problem{Where: s.Name, Msg: "YAML syntax: " + err.Error()}
	}
	at := e.Token.Position
	return s.At(Pos{at.Line, max(1, at.Column)}, "YAML syntax: "+e.Message, "")
}

// aliases finds the anchored value of each alias: the last of that name
// before it.
func aliases(body ast.Node) map[*ast.AliasNode]ast.Node {
	a := anchors{map[string]ast.Node{}, map[*ast.AliasNode]ast.Node{}}
	if body != nil {
		ast.Walk(a, body)
	}
	return a.of
}

type anchors struct {
	named map[string]ast.Node
	of    map[*ast.AliasNode]ast.Node
}

// Visit notes anchors and aliases in the order of the file.
func (a anchors) Visit(n ast.Node) ast.Visitor {
	switch n := n.(type) {
	case *ast.AnchorNode:
		a.named[n.Name.GetToken().Value] = n.Value
	case *ast.AliasNode:
		a.of[n] = a.named[n.Value.GetToken().Value]
	}
	return a
}
