package headers

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"
)

// check finds what a trial would not: fields such as {{.Hlo}} that there are
// not, in branches that are not taken, and loops without an end.
func check(t *template.Template) error {
	if len(t.Templates()) > 1 {
		return errors.New("define and block are not understood here")
	}
	var c checker
	c.node(t.Root, true)
	return c.err
}

// checker keeps the first error.
type checker struct{ err error }

func (c *checker) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf(format, args...)
	}
}

// node looks at a part of a template. root tells whether the dot is the message
// there; range and with change it.
func (c *checker) node(n parse.Node, root bool) {
	switch n := n.(type) {
	case *parse.ListNode:
		if n != nil {
			for _, inner := range n.Nodes {
				c.node(inner, root)
			}
		}
	case *parse.ActionNode:
		c.node(n.Pipe, root)
	case *parse.PipeNode:
		for _, cmd := range n.Cmds {
			for _, arg := range cmd.Args {
				c.node(arg, root)
			}
		}
	case *parse.ChainNode:
		c.node(n.Node, root)
	case *parse.IfNode:
		c.branch(&n.BranchNode, root, root)
	case *parse.WithNode:
		c.branch(&n.BranchNode, root, false)
	case *parse.RangeNode:
		if over := n.Pipe.Cmds[0].String(); !slices.Contains(lists, strings.TrimPrefix(over, "$")) {
			c.fail("range over %s: want one of %s", over, strings.Join(lists, ", "))
		}
		c.branch(&n.BranchNode, root, false)
	case *parse.TemplateNode:
		c.fail("template is not understood here")
	case *parse.FieldNode:
		if root {
			c.field(n.Ident[0])
		}
	case *parse.VariableNode:
		if n.Ident[0] == "$" && len(n.Ident) > 1 {
			c.field(n.Ident[1])
		}
	}
}

func (c *checker) branch(n *parse.BranchNode, root, inside bool) {
	c.node(n.Pipe, root)
	c.node(n.List, inside)
	c.node(n.ElseList, root)
}

// lists are what a template may range over.
var lists = []string{".Rcpts", ".Findings"}

func (c *checker) field(name string) {
	var known []string
	for _, f := range reflect.VisibleFields(reflect.TypeFor[data]()) {
		known = append(known, "."+f.Name)
	}
	if !slices.Contains(known, "."+name) {
		c.fail("there is no {{.%s}}: known are %s", name, strings.Join(known, " "))
	}
}
