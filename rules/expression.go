package rules

import (
	"errors"
	"fmt"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/types"
	"github.com/expr-lang/expr/vm"

	"github.com/mailweir/mailweir/filters"
)

// expression is what stands under when, compiled.
type expression struct {
	program *vm.Program
	source  string
	fields  []*fieldRef
	slots   []int
	many    []bool // the field is a list of texts
	names   []string
}

// Bounds of an expression. Without loops in loops, variables and functions
// that multiply text, its time grows with its nodes and the fields it reads,
// all of which are bounded.
const (
	maxSource = 4096 // octets
	maxNodes  = 200
	maxMemory = 100_000 // values that the machine may make
)

// functions are those that expressions may call: none that makes text or lists
// greater than what they are given.
var functions = []string{
	"len", "lower", "upper", "trim", "hasPrefix", "hasSuffix", "indexOf", "lastIndexOf",
	"any", "all", "none", "one", "count",
	"abs", "min", "max", "int", "float", "string",
}

const listed = "listed"

// expressionError is what is wrong with an expression, and where in it.
type expressionError struct {
	line, col int // from 1, in characters
	msg, hint string
}

func (e *expressionError) Error() string { return e.msg }

// compile finishes the expression for a stage: from DATA on, to is a list.
func (r *reader) compile(stage filters.Stage) (*expression, *expressionError) {
	x := &expression{source: r.tree.Source.String()}
	env := types.Map{}
	for path, ref := range r.refs {
		many := isMany(ref, stage)
		x.fields = append(x.fields, ref)
		x.many = append(x.many, many)
		x.names = append(x.names, path)
		env[path] = exprType(ref.Type, many)
	}
	program, err := expr.Compile(x.source, r.options(env)...)
	if err != nil {
		return nil, explain(err)
	}
	x.program = program
	return x, nil
}

// isMany reports whether a field is a list at that stage.
func isMany(ref *fieldRef, stage filters.Stage) bool {
	return ref.Many && !(stage == filters.Rcpt && ref.Stage == filters.Rcpt)
}

func exprType(t Type, many bool) types.Type {
	switch {
	case many:
		return types.TypeOf([]string{})
	case t == Free:
		return types.Any
	case t.numeric():
		return types.Int
	case t == Bool:
		return types.Bool
	}
	return types.String
}

// rewriter puts one name in place of from.domain, and a default beside facts
// that are compared, so that a fact nobody has set compares as nothing.
type rewriter struct{ r *reader }

// Visit implements the library's visitor. It is called from the leaves up.
func (w rewriter) Visit(n *ast.Node) {
	switch at := (*n).(type) {
	case *ast.MemberNode:
		if path, ok := pathOf(at); ok && w.r.refs[path] != nil {
			ast.Patch(n, &ast.IdentifierNode{Value: path})
		}
	case *ast.BinaryNode:
		w.fill(&at.Left, zeroFor(at.Right))
		if at.Operator == "in" {
			w.fill(&at.Right, &ast.ArrayNode{})
		} else {
			w.fill(&at.Right, zeroFor(at.Left))
		}
	}
}

// fill puts "fact ?? zero" where a fact is compared with a constant.
func (w rewriter) fill(n *ast.Node, zero ast.Node) {
	id, ok := (*n).(*ast.IdentifierNode)
	if !ok || zero == nil || w.r.refs[id.Value] == nil || w.r.refs[id.Value].Type != Free {
		return
	}
	zero.SetLocation(id.Location())
	ast.Patch(n, &ast.BinaryNode{Operator: "??", Left: id, Right: zero})
}

// zeroFor returns what is nothing beside a constant; nil beside anything else.
func zeroFor(other ast.Node) ast.Node {
	switch other.(type) {
	case *ast.IntegerNode, *ast.FloatNode:
		return &ast.IntegerNode{}
	case *ast.StringNode:
		return &ast.StringNode{}
	case *ast.BoolNode:
		return &ast.BoolNode{}
	}
	return nil
}

// run evaluates the expression. Its time is bounded by what it is made of.
func (x *expression) run(e *evaluation) (bool, error) {
	env := make(map[string]any, len(x.names))
	for i, name := range x.names {
		r := e.read(x.slots[i])
		if r.err != nil {
			return false, r.err
		}
		env[name] = r.plain(x.fields[i].Type, x.many[i])
	}
	machine := vm.VM{MemoryBudget: maxMemory}
	out, err := machine.Run(x.program, env)
	if err != nil {
		return false, errors.New(explain(err).msg)
	}
	ok, isBool := out.(bool)
	if !isBool {
		return false, fmt.Errorf("it is %v, neither true nor false", out)
	}
	return ok, nil
}

// plain returns the values as expressions see them.
func (r *reading) plain(t Type, many bool) any {
	if many || r.list {
		list := make([]string, len(r.values))
		for i := range r.values {
			list[i] = r.values[i].plain()
		}
		return list
	}
	if len(r.values) == 0 {
		switch {
		case t == Free:
			return nil
		case t.numeric():
			return 0
		case t == Bool:
			return false
		}
		return ""
	}
	v := &r.values[0]
	switch {
	case isNumber(v) && v.num == float64(int(v.num)):
		return int(v.num)
	case isNumber(v):
		return v.num
	case v.kind == Bool:
		return v.num != 0
	}
	return v.plain()
}

// plain returns the value as text.
func (v *value) plain() string {
	if v.kind == Address {
		return v.addr.String()
	}
	if v.kind == Domain {
		return string(foldDomain(appendLower(nil, v.text)))
	}
	return v.text
}
