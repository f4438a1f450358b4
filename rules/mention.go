package rules

import (
	"errors"
	"fmt"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/types"
)

// reader parses an expression and finds the fields it mentions.
type reader struct {
	fields *fieldSet
	list   func(string) *list
	hint   func(name string) string // nearest field
	tree   *parser.Tree
	refs   map[string]*fieldRef
	order  []*fieldRef
	depth  int
	err    *expressionError
}

// parseWhen reads an expression as far as it takes to know its fields.
func parseWhen(source string, fields *fieldSet, lists func(string) *list, hint func(string) string) (*reader, *expressionError) {
	r := &reader{fields: fields, list: lists, hint: hint, refs: map[string]*fieldRef{}}
	if len(source) > maxSource {
		return nil, &expressionError{1, 1, fmt.Sprintf("the expression is longer than %d octets", maxSource), "write several rules"}
	}
	if strings.TrimSpace(source) == "" {
		return nil, &expressionError{1, 1, "the expression is empty", "leave when out"}
	}
	tree, err := parser.ParseWithConfig(source, r.config(nil))
	if err != nil {
		return nil, explain(err)
	}
	r.tree = tree
	r.visit(tree.Node)
	if r.err != nil {
		return nil, r.err
	}
	return r, nil
}

// config is what the library is told. env is nil while only parsing.
func (r *reader) config(env types.Map) *conf.Config {
	c := conf.CreateNew()
	for _, o := range r.options(env) {
		o(c)
	}
	for name := range c.Disabled {
		delete(c.Builtins, name)
	}
	return c
}

func (r *reader) options(env types.Map) []expr.Option {
	options := []expr.Option{expr.MaxNodes(maxNodes), expr.AsBool(), expr.DisableAllBuiltins()}
	for _, name := range functions {
		options = append(options, expr.EnableBuiltin(name))
	}
	if env != nil {
		options = append(options, expr.Env(env), expr.Patch(rewriter{r}))
	}
	lookUp := func(params ...any) (any, error) {
		text, name := params[0].(string), params[1].(string)
		return r.list(name).hasText(text), nil
	}
	return append(options, expr.Function(listed, lookUp, new(func(string, string) bool)))
}

// explain turns the library's error into one of ours.
func explain(err error) *expressionError {
	var at *file.Error
	if !errors.As(err, &at) {
		return &expressionError{1, 1, err.Error(), ""}
	}
	msg := strings.Replace(at.Message, "error parsing regexp: ", "bad pattern: ", 1)
	return &expressionError{max(1, at.Line), at.Column + 1, msg, ""}
}

func (r *reader) fail(n ast.Node, msg, hint string) {
	if r.err != nil {
		return
	}
	line, col, at := 1, 1, 0
	for _, c := range r.tree.Source.String() {
		if at == n.Location().From {
			break
		}
		at++
		col++
		if c == '\n' {
			line, col = line+1, 1
		}
	}
	r.err = &expressionError{line, col, msg, hint}
}

// visit goes down the tree, to names that are whole.
func (r *reader) visit(n ast.Node) {
	switch n := n.(type) {
	case *ast.IdentifierNode:
		r.mention(n, n.Value)
	case *ast.MemberNode:
		r.member(n)
	case *ast.UnaryNode:
		r.visit(n.Node)
	case *ast.BinaryNode:
		r.binary(n)
	case *ast.ConditionalNode:
		r.each(n.Cond, n.Exp1, n.Exp2)
	case *ast.ArrayNode:
		r.each(n.Nodes...)
	case *ast.SliceNode:
		r.each(n.Node, n.From, n.To)
	case *ast.BuiltinNode:
		r.call(n)
	case *ast.CallNode:
		r.listed(n)
	case *ast.PredicateNode:
		if r.depth++; r.depth > 1 {
			r.fail(n, "a loop inside of a loop takes too long", "write two rules")
		}
		r.visit(n.Node)
		r.depth--
	case *ast.VariableDeclaratorNode, *ast.SequenceNode:
		r.fail(n, "variables are not understood here", "write it out")
	case *ast.MapNode:
		r.fail(n, "maps are not understood here", "")
	case *ast.ChainNode:
		r.visit(n.Node)
	}
}

func (r *reader) each(nodes ...ast.Node) {
	for _, n := range nodes {
		if n != nil {
			r.visit(n)
		}
	}
}

func (r *reader) binary(n *ast.BinaryNode) {
	switch n.Operator {
	case "..":
		r.fail(n, "ranges are not understood here", "compare with < and >")
	case "matches":
		if text, ok := n.Right.(*ast.StringNode); !ok {
			r.fail(n.Right, "the pattern after matches must stand there in quotes", "")
		} else if _, err := parseExpression(text.Value); err != nil {
			r.fail(n.Right, err.Error(), "")
		}
	}
	r.each(n.Left, n.Right)
}

func (r *reader) call(n *ast.BuiltinNode) {
	known := false
	for _, name := range functions {
		known = known || name == n.Name
	}
	if !known {
		r.fail(n, "there is no function "+n.Name+" here", "known are "+strings.Join(functions, ", ")+", "+listed)
	}
	r.each(n.Arguments...)
}

// listed checks the call of our own function.
func (r *reader) listed(n *ast.CallNode) {
	callee, ok := n.Callee.(*ast.IdentifierNode)
	if !ok || callee.Value != listed {
		r.fail(n.Callee, "there is no function "+n.Callee.String()+" here", "known are "+strings.Join(functions, ", ")+", "+listed)
		return
	}
	if len(n.Arguments) != 2 {
		r.fail(n, "listed wants a text and the name of a list", `as in listed(from.domain, "freemail")`)
		return
	}
	r.visit(n.Arguments[0])
	name, ok := n.Arguments[1].(*ast.StringNode)
	if !ok {
		r.fail(n.Arguments[1], "the name of the list must stand there in quotes", "")
		return
	}
	if r.list(name.Value) == nil {
		r.fail(name, fmt.Sprintf("there is no list %q", name.Value), "name it under lists")
	}
}

// member finds the field in from.domain, header.Subject, header["X-Spam"] and
// facts["dnsbl.score"].
func (r *reader) member(n *ast.MemberNode) {
	path, ok := pathOf(n)
	if !ok { // an item of something
		r.each(n.Node, n.Property)
		return
	}
	if r.fields.find(path) != nil {
		r.mention(n, path)
		return
	}
	if inner, ok := n.Node.(*ast.MemberNode); ok {
		if p, ok := pathOf(inner); ok && r.fields.find(p) != nil {
			r.fail(n, fmt.Sprintf("%s has no part %s", p, n.Property.String()), "")
			return
		}
	}
	r.mention(n, path)
}

// pathOf spells a chain of members with dots.
func pathOf(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.IdentifierNode:
		if n.Value == "facts" {
			return "fact", true
		}
		return n.Value, true
	case *ast.MemberNode:
		prop, ok := n.Property.(*ast.StringNode)
		if !ok {
			return "", false
		}
		left, ok := pathOf(n.Node)
		return left + "." + prop.Value, ok
	case *ast.ChainNode:
		return pathOf(n.Node)
	}
	return "", false
}

func (r *reader) mention(n ast.Node, path string) {
	ref := r.fields.find(path)
	if ref == nil {
		r.fail(n, fmt.Sprintf("unknown field %q", path), r.hint(path))
		return
	}
	if r.depth > 0 && ref.Name == "body" {
		r.fail(n, "body inside of a loop takes too long", "write a rule of its own")
	}
	if r.refs[path] == nil {
		r.refs[path] = ref
		r.order = append(r.order, ref)
	}
}
