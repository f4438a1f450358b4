package upstream

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"time"
)

// target is a server as one search sees it.
type target struct {
	*server
	entry  int     // which of the group's servers it belongs to
	rank   int     // of its priority within that
	weight float64 // its share of the sessions
	lot    float64 // drawn for this search: the smaller, the earlier
}

// targets returns the servers of the group, in the order of choice. They stay
// known until they are let go.
func (g *Group) targets(ctx context.Context) ([]target, error) {
	f, p := g.fleet, g.pool
	var all []target
	var errs failures
	for i, at := range g.Servers {
		records, err := g.expand(ctx, at)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		f.mu.Lock()
		e := p.entry(at.label())
		before := e.keys
		for j, sv := range p.populate(e, records, cmp.Or(p.latest(), g)) {
			sv.pins++
			weight := max(float64(at.Weight), 1) * records[j].share
			all = append(all, target{server: sv, entry: i, rank: records[j].rank, weight: weight, lot: rand.ExpFloat64() / weight})
		}
		if !slices.Equal(before, e.keys) {
			p.sweep()
		}
		f.mu.Unlock()
	}
	if len(all) == 0 {
		return nil, errs.about("no server is known")
	}
	g.order(all)
	return all, nil
}

// expand returns the servers that one entry of the configuration stands for.
func (g *Group) expand(ctx context.Context, at Server) ([]record, error) {
	if at.Kind == Host || at.Kind == Unix {
		return []record{at.record()}, nil
	}
	f := g.fleet
	f.mu.Lock()
	e := g.pool.entry(at.label())
	f.mu.Unlock()
	return e.found.ask(ctx, f.log, func(ctx context.Context) ([]record, error) { return f.find(ctx, at) })
}

// letGo lets go of targets.
func (g *Group) letGo(list []target) {
	g.fleet.mu.Lock()
	defer g.fleet.mu.Unlock()
	for _, t := range list {
		t.unpin()
	}
}

// order puts targets in the order of choice, but for LeastSessions, which
// counts anew for each choice. Where weights count it is at random: the lots
// are such that the first of the order is each one with the probability of its
// weight, and so on with the rest (RFC 2782).
func (g *Group) order(list []target) {
	slices.SortStableFunc(list, func(x, y target) int {
		if g.Balance == InOrder {
			return cmp.Or(cmp.Compare(x.entry, y.entry), cmp.Compare(x.rank, y.rank), cmp.Compare(x.lot, y.lot))
		}
		return cmp.Or(cmp.Compare(x.rank, y.rank), cmp.Compare(x.lot, y.lot))
	})
}

// choice is what a search does next.
type choice struct {
	index int
	slot  bool // it is taken; else the server is full, and has to be waited for
	trial bool // the server is out, and this attempt is to show whether it is back
}

// choose returns the best of the targets that are left, of which there is at
// least one: one that lives and has room, one that lives, or any.
func (g *Group) choose(list []target) choice {
	g.fleet.mu.Lock()
	defer g.fleet.mu.Unlock()
	now := time.Now()
	order := g.byLoad(list)
	var alive []int
	for _, i := range order {
		if list[i].standing(now) != standsOut {
			alive = append(alive, i)
		}
	}
	for _, i := range alive {
		if list[i].slots.tryTake() {
			return choice{index: i, slot: true, trial: list[i].claim()}
		}
	}
	if len(alive) > 0 {
		return choice{index: alive[0]}
	}
	return choice{index: order[0], slot: list[order[0]].slots.tryTake()}
}

// byLoad returns the indexes of the targets in the order of choice.
func (g *Group) byLoad(list []target) []int {
	order := make([]int, len(list))
	load := make([]float64, len(list))
	for i, t := range list {
		order[i], load[i] = i, float64(t.slots.held())/t.weight
	}
	if g.Balance == LeastSessions {
		slices.SortStableFunc(order, func(i, j int) int {
			x, y := list[i], list[j]
			return cmp.Or(cmp.Compare(x.rank, y.rank), cmp.Compare(load[i], load[j]), cmp.Compare(x.entry, y.entry))
		})
	}
	return order
}

// claim makes the caller the one who tries a server that is out. It reports
// false if the server is not out.
func (sv *server) claim() bool {
	if sv.out {
		sv.trying = true
	}
	return sv.out
}
