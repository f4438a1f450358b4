package chain_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/chain"
)

// factual makes specs from lines such as "dmarc: sets d reads spf dkim". Each
// entry's position is its number in the list.
func factual(calls *[]string, lines ...string) []chain.Spec {
	var specs []chain.Spec
	for i, line := range lines {
		name, rest, _ := strings.Cut(line, ":")
		f := &stub{name: fmt.Sprintf("%s%d", name, i), finds: answers{filters.Connect: {}}, calls: calls}
		spec := entry(f)
		spec.Kind.Name = name
		spec.Pos = fmt.Sprintf("c.yaml:%d:1", i)
		into := &spec.Kind.Sets
		for _, word := range strings.Fields(rest) {
			switch word {
			case "sets":
				into = &spec.Kind.Sets
			case "reads":
				into = &spec.Kind.Reads
			case "on":
				into = nil
			default:
				if into == nil {
					spec.Listeners = append(spec.Listeners, word)
				} else {
					*into = append(*into, filters.FactInfo{Name: word})
				}
			}
		}
		specs = append(specs, spec)
	}
	return specs
}

func TestOrder(t *testing.T) {
	for _, tc := range []struct {
		name  string
		lines []string
		want  string
	}{
		{"as written", []string{"b:", "a:", "c:", "a:"}, "b0 a1 c2 a3"},
		{"setter first already", []string{"s: sets x", "m:", "r: reads x"}, "s0 m1 r2"},
		{"setter moves before reader", []string{"a:", "r: reads x", "b:", "s: sets x"}, "a0 s3 r1 b2"},
		{"all setters of a fact", []string{"r: reads x", "s: sets x", "u: sets x"}, "s1 u2 r0"},
		{"through another", []string{"c: reads b", "b: sets b reads a", "a: sets a"}, "a2 b1 c0"},
		{"diamond", []string{"d: reads b c", "b: sets b reads a", "c: sets c reads a", "a: sets a"}, "a3 b1 c2 d0"},
		{"reads its own fact", []string{"a:", "s: sets x reads x"}, "a0 s1"},
		{"a kind that reads its own fact, twice", []string{"s: sets x reads x", "a:", "s: sets x reads x"}, "s0 a1 s2"},
		{"same, with a reader", []string{"r: reads x", "s: sets x reads x", "s: sets x reads x"}, "s1 s2 r0"},
		{"setter serves the reader's listener", []string{"r: reads x on mx", "s: sets x on mx sub"}, "s1 r0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var calls []string
			c := build(t, new(bytes.Buffer), chain.Options{}, factual(&calls, tc.lines...)...)
			c.Start(context.Background(), session()).Connect()
			got := strings.ReplaceAll(strings.Join(calls, " "), ".connect", "")
			if got != tc.want {
				t.Errorf("order = %s, want %s", got, tc.want)
			}
		})
	}
}

func TestOrderErrors(t *testing.T) {
	for _, tc := range []struct {
		name  string
		lines []string
		want  []string // one for each error
	}{
		{"nobody sets it", []string{"a:", "r: reads x"}, []string{"c.yaml:1:1: r: reads the fact x, which no filter of this chain sets"}},
		{"every one is told", []string{"r: reads x y", "q: reads z"}, []string{"c.yaml:0:1: r: reads the fact x,", "c.yaml:0:1: r: reads the fact y,", "c.yaml:1:1: q: reads the fact z,"}},
		{"circle of two", []string{"a: sets a reads b", "b: sets b reads a"}, []string{"c.yaml:1:1: b: reads the fact a of a, which waits"}},
		{"circle of three", []string{"a: sets a reads b", "b: sets b reads c", "c: sets c reads a"}, []string{"c.yaml:2:1: c: reads the fact a of a, which waits"}},
		{"not on the reader's listener", []string{"s: sets x on mx", "r: reads x on mx sub"}, []string{"c.yaml:1:1: r: reads the fact x, which no filter of listener sub sets"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := chain.Build(env(new(bytes.Buffer)), factual(nil, tc.lines...), chain.Options{})
			if err == nil {
				t.Fatal("no error")
			}
			lines := strings.Split(err.Error(), "\n")
			ok := slices.EqualFunc(lines, tc.want, strings.HasPrefix)
			if !ok {
				t.Errorf("error:\n%s\nwant:\n%s", err, strings.Join(tc.want, "\n"))
			}
			var se *chain.SpecError
			if !errors.As(err, &se) || se.Spec.Pos == "" {
				t.Error("the error holds no SpecError with a position")
			}
		})
	}
}

// Many entries of kinds that read each other's facts must end, and soon.
func TestOrderCirclesEnd(t *testing.T) {
	var lines []string
	for i := range 200 {
		lines = append(lines, fmt.Sprintf("k%d: sets f%d reads f%d f%d", i%7, i%7, (i+1)%7, (i+2)%7))
	}
	if _, err := chain.Build(env(new(bytes.Buffer)), factual(nil, lines...), chain.Options{}); err == nil {
		t.Error("no error")
	}
}

// reader is a filter that reads facts which its configuration names.
type reader struct {
	stub
	reads []string
}

func (r *reader) Reads() []string { return r.reads }

// A filter that reads a fact by its configuration is asked behind those that set
// it; that nobody sets one is no error. It is told which facts there are.
func TestReadsByConfiguration(t *testing.T) {
	var calls, known []string
	rules := chain.Spec{Kind: filters.Kind{Name: "rules", New: func(e filters.Env, _ any) (filters.Filter, error) {
		for _, f := range e.Facts {
			known = append(known, f.Name)
		}
		return &reader{stub{name: "rules", finds: answers{filters.Connect: {}}, calls: &calls}, []string{"a.x", "nobody.sets"}}, nil
	}}}
	setter := entry(&stub{name: "a", finds: answers{filters.Connect: {}}, calls: &calls})
	setter.Kind.Sets = []filters.FactInfo{{Name: "a.x", Doc: "x"}}
	k := start(t, filters.Rcpt, rules, setter)
	k.until(filters.Connect)
	if got := strings.Join(calls, " "); got != "a.connect rules.connect" {
		t.Errorf("asked %s", got)
	}
	if got := strings.Join(known, " "); got != "a.x" {
		t.Errorf("facts = %s", got)
	}
	k.Close()
}

// needer edits because its configuration says so.
type needer struct{ stub }

func (*needer) Needs() filters.Needs { return filters.EditHeader | filters.DoQuarantine }

func (n *needer) Data(_ context.Context, t *filters.Transaction) filters.Verdict {
	if err := t.Edit(filters.AddField{Name: "X", Value: " y"}); err != nil {
		return filters.Failed(err)
	}
	return verdict(filters.Quarantine)
}

// What a filter needs by its configuration it may do.
func TestNeedsByConfiguration(t *testing.T) {
	f := &needer{stub{name: "f", finds: answers{filters.Data: {}}}}
	k := start(t, filters.Rcpt, chain.Spec{Kind: filters.Kind{
		Name: "f",
		New:  func(filters.Env, any) (filters.Filter, error) { return f, nil },
	}})
	k.until(filters.Data)
	if n := len(k.Transaction().Edits()); n != 1 {
		t.Errorf("%d edits", n)
	}
	wantAction(t, k.ask(filters.EOM), filters.Quarantine)
	k.Close()
}
