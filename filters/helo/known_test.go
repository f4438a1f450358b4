package helo_test

import (
	"context"
	"slices"
	"testing"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/filtertest"
	"github.com/mailweir/mailweir/filters/helo"
)

// remembers is a resolver that knows all of some types, and is not to be asked
// for those.
type remembers struct {
	filters.Resolver
	t     *testing.T
	types []filters.RecordType
}

func (r remembers) Known(q filters.Question) (a filters.Answer, err error, ok bool) {
	if !slices.Contains(r.types, q.Type) {
		return a, nil, false
	}
	a, err = r.Resolver.Lookup(context.Background(), q)
	return a, err, true
}

func (r remembers) Lookup(ctx context.Context, q filters.Question) (filters.Answer, error) {
	if slices.Contains(r.types, q.Type) {
		r.t.Errorf("asked for %s %s, which is known", q.Type, q.Name)
	}
	return r.Resolver.Lookup(ctx, q)
}

// knowledge is what the resolvers of tests know beforehand: whatever it is, the
// verdicts are the same.
var knowledge = [][]filters.RecordType{
	nil,
	{filters.TypeA},
	{filters.TypeMX},
	{filters.TypeA, filters.TypeAAAA, filters.TypeMX},
}

// gateBy makes a gate that asks r, which knows those types.
func gateBy(t *testing.T, r filters.Resolver, options string, known []filters.RecordType) gate {
	t.Helper()
	env, _ := filtertest.Env("")
	env.Resolver = remembers{r, t, known}
	return filtertest.New[gate](t, env, helo.Kind, options)
}

// A client that is known again costs no question.
func TestKnownIsNotAsked(t *testing.T) {
	z := filtertest.NewZone(t, world)
	f := gateBy(t, z, "{resolves: true, matches_client: true}", knowledge[len(knowledge)-1])
	s := session(t, client4)
	for name, want := range map[string]string{
		"mail.example.com":   "continue",
		"gone.example.com":   unresolvable,
		"other.example.com":  clientMismatch,
		"broken.example.com": "error A broken.example.com: the name servers failed",
	} {
		greet(t, f, s, name) // takes the place of the one before
		if got := mail(t, f, s); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}
