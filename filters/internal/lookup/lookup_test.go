package lookup_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/filters/filtertest"
	"github.com/mailweir/mailweir/filters/internal/lookup"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEachAsksAtOnce(t *testing.T) {
	zone := filtertest.NewZone(t, `
a.example DELAY 3s
b.example DELAY 1s
c.example DELAY 2s
b.example A 192.0.2.2
`)
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var order []string
		for r := range lookup.Each(t.Context(), zone, questions("a.example", "b.example", "c.example")) {
			order = append(order, r.Question.Name)
			if found := r.Err == nil; found != (r.At == 1) {
				t.Errorf("question %d: %v", r.At, r.Err)
			}
		}
		if got := strings.Join(order, " "); got != "b.example c.example a.example" {
			t.Error(got)
		}
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestEachCallsOffTheRest(t *testing.T) {
	zone := filtertest.NewZone(t, "silent.example DROP\ngood.example A 192.0.2.2\n")
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		for range lookup.Each(t.Context(), zone, questions("silent.example", "good.example")) {
			break
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("took %v", took)
		}
	})
}

// partly knows one name without being asked.
type partly struct {
	filters.Resolver
	name string
	t    *testing.T
}

func (p partly) Known(q filters.Question) (filters.Answer, error, bool) {
	return filters.Answer{Cached: true}, nil, q.Name == p.name
}

func (p partly) Lookup(ctx context.Context, q filters.Question) (filters.Answer, error) {
	if q.Name == p.name {
		p.t.Errorf("asked for %s, which is known", q.Name)
	}
	return p.Resolver.Lookup(ctx, q)
}

// What is known comes first, and may be enough.
func TestEachBeginsWithWhatIsKnown(t *testing.T) {
	zone := filtertest.NewZone(t, "a.example A 192.0.2.2\nc.example A 192.0.2.2\n")
	r := partly{zone, "b.example", t}
	seen := map[int]bool{}
	first := -1
	for r := range lookup.Each(t.Context(), r, questions("a.example", "b.example", "c.example")) {
		if seen[r.At] = true; first < 0 {
			first = r.At
		}
		if r.Err != nil || r.Answer.Cached != (r.At == 1) {
			t.Errorf("question %d: %+v, %v", r.At, r.Answer, r.Err)
		}
	}
	if len(seen) != 3 || first != 1 {
		t.Errorf("answers to %v, first to %d", seen, first)
	}
	for range lookup.Each(t.Context(), r, questions("a.example", "b.example")) {
		break
	}
	if n := zone.Asked("a.example", filters.TypeA); n != 1 {
		t.Errorf("%d questions about a.example: the second time what is known was enough", n)
	}
}

type broken struct{ filters.Resolver }

func (broken) Lookup(context.Context, filters.Question) (filters.Answer, error) { panic("broken") }

func TestPanicIsAnError(t *testing.T) {
	for r := range lookup.Each(t.Context(), broken{}, questions("a.example")) {
		if r.Err == nil || filters.NotFound(r.Err) || !strings.Contains(r.Err.Error(), "A a.example: broken") {
			t.Error(r.Err)
		}
	}
}

func TestPatience(t *testing.T) {
	for _, c := range []struct{ entry, kind, want time.Duration }{
		{0, 5 * time.Second, 4500 * time.Millisecond},
		{time.Second, 5 * time.Second, 900 * time.Millisecond},
	} {
		if got := lookup.Patience(c.entry, c.kind); got != c.want {
			t.Errorf("Patience(%v, %v) = %v", c.entry, c.kind, got)
		}
	}
}

func TestFamily(t *testing.T) {
	for addr, want := range map[string]filters.RecordType{
		"192.0.2.1":        filters.TypeA,
		"::ffff:192.0.2.1": filters.TypeA,
		"2001:db8::1":      filters.TypeAAAA,
	} {
		if got := lookup.Family(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %v", addr, got)
		}
	}
}

func questions(names ...string) []filters.Question {
	var list []filters.Question
	for _, n := range names {
		list = append(list, filters.Question{Name: n, Type: filters.TypeA})
	}
	return list
}
