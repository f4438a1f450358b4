package rules

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"github.com/mailweir/mailweir/rules/strict"
)

// File is what a rule file may say.
type File struct {
	Lists Ordered[List] `yaml:"lists" doc:"named lists of addresses, domains, patterns or words, for in"`
	Rules []Rule        `yaml:"rules" doc:"the rules, in the order in which they are asked at each stage"`
	Sets  Ordered[Set]  `yaml:"sets" doc:"named rules for some recipients or listeners, asked after rules"`
	Mix   bool          `yaml:"mix" doc:"take recipients of different sets in one transaction, although the sets judge messages differently: the gravest verdict is that on all"`
	Tests []Test        `yaml:"tests" doc:"sessions with the verdicts they are to meet"`

	compile func(*File, *strict.Report)
}

// Check compiles the policy.
func (f *File) Check(r *strict.Report) {
	if f.compile != nil {
		f.compile(f, r)
	}
}

// List is a named list, of one sort of things.
type List struct {
	Addresses      []Word `yaml:"addresses" doc:"addresses and networks, for fields of type address"`
	AddressesFiles []Word `yaml:"addresses_files" doc:"files with more of them, one a line"`
	Domains        []Word `yaml:"domains" doc:"domains; .example.com is that one and all below it"`
	DomainsFiles   []Word `yaml:"domains_files" doc:"files with more of them, one a line"`
	Patterns       []Word `yaml:"patterns" doc:"regular expressions (RE2) that some of a text must match"`
	PatternsFiles  []Word `yaml:"patterns_files" doc:"files with more of them, one a line"`
	Words          []Word `yaml:"words" doc:"whole texts, compared without regard to case"`
	WordsFiles     []Word `yaml:"words_files" doc:"files with more of them, one a line"`
}

// Rule is one rule.
type Rule struct {
	Name     Word   `yaml:"name" required:"true" doc:"what it is called in logs and counters: lower-case letters, digits and _"`
	Doc      string `yaml:"doc" doc:"why it is there"`
	Match    Raw    `yaml:"match" doc:"fields and what they must be: all must hold"`
	Unless   Raw    `yaml:"unless" doc:"fields and what they must not be: none may hold"`
	When     Word   `yaml:"when" doc:"an expression that must be true"`
	At       Point  `yaml:"at" doc:"the stage at which to ask, if not at the earliest one at which all is known"`
	Then     Raw    `yaml:"then" required:"true" doc:"what to do: a verdict, edits, tags, a score, a delay"`
	Action   Mode   `yaml:"action" doc:"enforce, or ignore to log and count only what it would have done"`
	Continue bool   `yaml:"continue" doc:"ask the next rules after a verdict too; the gravest counts, the first of equal ones"`
}

// Set is rules for some recipients, listeners, or both.
type Set struct {
	Recipients Raw    `yaml:"recipients" doc:"whose: what the field to must be"`
	Listeners  []Word `yaml:"listeners" doc:"of which listeners; of all if there are none"`
	Rules      []Rule `yaml:"rules" required:"true" doc:"the rules"`
}

// Mode is whether a rule is in force.
type Mode string

// Words returns the modes there are.
func (Mode) Words() []string { return []string{"enforce", "ignore"} }

// Point is a stage at which rules are asked; "" for the earliest.
type Point struct{ Word }

// UnmarshalNode reads the name of a stage.
func (p *Point) UnmarshalNode(d *strict.Decoder, n ast.Node) {
	text, _ := strict.Scalar(n)
	if words := p.Words(); !slices.Contains(words, text) {
		d.Problem(n, "at: want one of "+strings.Join(words, ", ")+", got "+strict.NounOf(n), strict.Suggest(text, words))
		return
	}
	p.Text, p.at = text, n
}

// Words returns the stages at which rules are asked.
func (Point) Words() []string {
	return []string{"connect", "helo", "mail", "rcpt", "data", "eoh", "eom"}
}

// Word is a text with its place.
type Word struct {
	Text string
	at   ast.Node
}

// UnmarshalNode reads a scalar as it is written.
func (w *Word) UnmarshalNode(d *strict.Decoder, n ast.Node) {
	text, sort := strict.Scalar(n)
	if sort == strict.NoScalar {
		d.Problem(n, "want text, got "+strict.NounOf(n), "")
		return
	}
	w.Text, w.at = text, n
}

// Raw is a part of the file that is read once the fields are known.
type Raw struct {
	d *strict.Decoder
	n ast.Node // nil if it is not there
}

// UnmarshalNode keeps the node.
func (r *Raw) UnmarshalNode(d *strict.Decoder, n ast.Node) { r.d, r.n = d, n }

// Ordered is a map whose order counts.
type Ordered[T any] struct{ items []item[T] }

type item[T any] struct {
	name  string
	at    ast.Node
	value T
}

// Item returns an item as it is before anything is read, for those who describe
// the file.
func (o *Ordered[T]) Item() any { return new(T) }

// UnmarshalNode reads the map.
func (o *Ordered[T]) UnmarshalNode(d *strict.Decoder, n ast.Node) {
	entries, _ := d.Entries(n, "")
	for _, e := range entries {
		it := item[T]{name: e.Key, at: e.At}
		d.Into(e.Value, &it.value, e.Key)
		o.items = append(o.items, it)
	}
}

// within returns the place of the character at an offset in a text of the file.
func (c *compiler) within(n ast.Node, text string, offset int) ast.Node {
	before := string([]rune(text)[:min(offset, utf8.RuneCountInString(text))])
	line := strings.Count(before, "\n")
	col := utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])
	pos := strict.PosOf(n)
	switch at := n.(type) {
	case *ast.StringNode:
		if line > 0 { // folded: its lines are not those of the file
			return n
		}
		if t := at.Token.Type; t == token.SingleQuoteType || t == token.DoubleQuoteType {
			col++
		}
		pos.Col += col
	case *ast.LiteralNode:
		pos = strict.Pos{Line: pos.Line + 1 + line, Col: c.indent(pos.Line+1) + 1 + col}
	default:
		return n
	}
	return &ast.StringNode{BaseNode: &ast.BaseNode{}, Token: &token.Token{Position: &token.Position{Line: pos.Line, Column: pos.Col}}}
}

// indent returns how many spaces the text begins with that has its first line
// there.
func (c *compiler) indent(line int) int {
	source := c.doc.At(strict.Pos{Line: line, Col: 1}, "", "").Source
	return len(source) - len(strings.TrimLeft(source, " "))
}

// lineStart returns the offset in characters at which a line of a text begins.
func lineStart(text string, line int) int {
	offset := 0
	for _, l := range strings.SplitAfter(text, "\n")[:line-1] {
		offset += utf8.RuneCountInString(l)
	}
	return offset
}
