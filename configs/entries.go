package configs

import (
	"fmt"
	"slices"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
	"github.com/mailweir/mailweir/rules/strict"
)

// entries is the chain as the file has it: a list of maps, each with one
// kind's name as key, and the common keys of common.
type entries struct {
	kinds []filters.Kind
	file  string
	list  []entry
}

type entry struct {
	chain.Spec
	named     bool       // has a name of its own
	at        ast.Node   // the kind's key
	listeners []ast.Node // its items of listeners
	options   positions  // of the kind's own
}

// positions is where the values of keys are.
type positions map[string]strict.Pos

// common is what an entry of any kind may have.
type common struct {
	Name      string        `yaml:"name" doc:"what the entry is called in the log; the kind's name by default; needed when a kind has several entries"`
	Action    chain.Action  `yaml:"action" doc:"what to do about a finding: enforce it, ignore it but for a record in the log, or drop the connection; enforce by default, but ignore for kinds whose manual says so"`
	OnError   chain.OnError `yaml:"on_error" doc:"what to do when the filter cannot decide: tempfail, continue as if it had found nothing, or reject; tempfail by default, but continue for kinds whose manual says so"`
	Timeout   time.Duration `yaml:"timeout" min:"1ms" doc:"longest wait for one answer; the kind's own by default"`
	Listeners []string      `yaml:"listeners" doc:"the listeners the entry serves; all by default"`

	Quarantine quarantine `yaml:"quarantine" doc:"how to set a message aside: {header: \"X-Quarantine: yes\"}, {redirect: user@example.com}, or both; by default the MTA does, which only a milter can ask for"`
}

// UnmarshalNode reads the list.
func (es *entries) UnmarshalNode(d *strict.Decoder, n ast.Node) {
	items, _ := d.List(n, "chain")
	for _, item := range items {
		es.read(d, item)
	}
}

// read reads one entry.
func (es *entries) read(d *strict.Decoder, item ast.Node) {
	n, ok := d.Resolve(item)
	if !ok {
		return
	}
	if s, ok := n.(*ast.StringNode); ok && slices.Contains(es.names(), s.Value) {
		d.Problem(item, "want a map with a kind of filter as key, got text", "write "+s.Value+": {}")
		return
	}
	keys, ok := d.Entries(n, "chain")
	if !ok {
		return
	}
	var kind *filters.Kind
	var own strict.Entry
	rest := make([]strict.Entry, 0, len(keys))
	for _, key := range keys {
		i := slices.Index(es.names(), key.Key)
		switch {
		case i < 0:
			rest = append(rest, key)
		case kind != nil:
			d.Problem(key.At, fmt.Sprintf("an entry is of one kind, and this one is %s already", kind.Name), "begin a new entry with -")
		default:
			kind, own = &es.kinds[i], key
		}
	}
	es.add(d, n, kind, own, rest)
}

// add decodes an entry whose keys have been sorted out.
func (es *entries) add(d *strict.Decoder, n ast.Node, kind *filters.Kind, own strict.Entry, rest []strict.Entry) {
	c := commonOf(kind)
	d.Fields(n, rest, &c, es.names())
	if kind == nil {
		if !es.misspelt(rest) {
			d.Problem(n, "the kind of filter is missing", "")
		}
		return
	}
	conf := kind.Conf()
	d.Into(own.Value, conf, kind.Name)
	pos := strict.PosOf(own.At)
	e := entry{at: own.At, named: c.Name != "", options: d.Positions(own.Value), Spec: chain.Spec{
		Kind:      *kind,
		Name:      c.Name,
		Pos:       fmt.Sprintf("%s:%d:%d", es.file, pos.Line, pos.Col),
		Conf:      conf,
		Action:    c.Action,
		OnError:   c.OnError,
		Timeout:   c.Timeout,
		Listeners: c.Listeners,

		Quarantine: c.Quarantine.spec(),
	}}
	if e.Name == "" {
		e.Name = kind.Name
	}
	if i := slices.IndexFunc(rest, func(e strict.Entry) bool { return e.Key == "listeners" }); i >= 0 {
		e.listeners = d.Items(rest[i].Value)
	}
	es.list = append(es.list, e)
}

// commonOf returns what entries of a kind have that spell nothing else; nil
// stands for a kind that is missing.
func commonOf(kind *filters.Kind) common {
	var c common
	if kind != nil && kind.Observe {
		c.Action = chain.Ignore
	}
	if kind != nil && kind.Lenient {
		c.OnError = chain.ErrorContinue
	}
	return c
}

// misspelt reports whether some key was unknown, which has been reported.
func (es *entries) misspelt(rest []strict.Entry) bool {
	known := strict.Names(common{})
	return slices.ContainsFunc(rest, func(e strict.Entry) bool { return !slices.Contains(known, e.Key) })
}

func (es *entries) names() []string {
	names := make([]string, len(es.kinds))
	for i, k := range es.kinds {
		names[i] = k.Name
	}
	return names
}

// handOver gives c the entries as the chain takes them.
func (es *entries) handOver(c *Config) {
	c.options = make(map[string]positions, len(es.list))
	for _, e := range es.list {
		c.Chain = append(c.Chain, e.Spec)
		c.options[e.Pos] = e.options
	}
}
