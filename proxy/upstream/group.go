package upstream

import "slices"

// Group is the servers that one part of a configuration names.
type Group struct {
	Options
	*learned
	fleet      *Fleet
	pool       *pool
	recipients *Recipients
	clocks     [steps]func(seconds float64)
}

// Group returns the group of these options. Close it when nobody uses it any
// more. Groups of the same name share what is known of their servers; how many
// connections there may be, and how servers are checked, the latest of them
// says.
func (f *Fleet) Group(o Options) *Group {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.pools[o.Name]
	if p == nil {
		p = &pool{fleet: f, name: o.Name, entries: map[string]*entry{}, servers: map[string]*server{}, wake: make(chan struct{}, 1)}
		f.pools[o.Name] = p
	}
	g := &Group{Options: o, learned: &p.learned, fleet: f, pool: p, clocks: f.meters.clocks(o.Name)}
	p.groups = append(p.groups, g)
	g.recipients = p.remember(o.Recipients)
	p.admit(g)
	p.changed()
	return g
}

// Close gives the group back. Connections of it may be open.
func (g *Group) Close() {
	f, p := g.fleet, g.pool
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.Index(p.groups, g)
	if i < 0 {
		return
	}
	p.groups = slices.Delete(p.groups, i, i+1)
	p.changed()
}

// Recipients returns the memory of refused recipients, nil if there is none.
func (g *Group) Recipients() *Recipients { return g.recipients }

// checked reports whether the servers are looked at when nobody uses them: one
// alone is tried by each session anyway.
func (g *Group) checked() bool {
	if g.Health.Interval <= 0 || g.Health.Timeout <= 0 {
		return false
	}
	return len(g.Servers) > 1 || len(g.Servers) == 1 && (g.Servers[0].Kind == SRV || g.Servers[0].Kind == MX)
}
