package upstream

import (
	"context"
	"time"
)

// pool is what the groups of one name share: at a reload, the old one and the
// new one. The fleet's mutex guards it.
type pool struct {
	fleet   *Fleet
	name    string
	groups  []*Group           // that are not closed, the latest last
	entries map[string]*entry  // by label
	servers map[string]*server // by label and address
	stop    context.CancelFunc // of the checks; nil while there are none
	wake    chan struct{}      // tells the checks that something has changed

	learned learned // by any of the groups

	recipients *Recipients
	remembered RecipientOptions // what recipients was made of
}

// entry is a server as configurations name it, which may be several.
type entry struct {
	label string
	found recall[[]record]
	keys  []string // in pool.servers, of the last answer
}

// latest returns the group whose options are in force, nil if all are closed.
func (p *pool) latest() *Group {
	if len(p.groups) == 0 {
		return nil
	}
	return p.groups[len(p.groups)-1]
}

// admit makes the entries of a group, and the servers that the DNS has no say
// in.
func (p *pool) admit(g *Group) {
	for _, at := range g.Servers {
		e := p.entry(at.label())
		if at.Kind == Host || at.Kind == Unix {
			p.populate(e, []record{at.record()}, g)
		}
	}
}

func (p *pool) entry(label string) *entry {
	e := p.entries[label]
	if e == nil {
		e = &entry{label: label}
		p.entries[label] = e
	}
	return e
}

// populate makes the servers of an entry known, and returns them.
func (p *pool) populate(e *entry, records []record, g *Group) []*server {
	keys := make([]string, 0, len(records))
	list := make([]*server, 0, len(records))
	for _, r := range records {
		key := e.label + " " + r.address()
		sv := p.servers[key]
		if sv == nil {
			sv = &server{pool: p, record: r, label: e.label, key: key, name: r.address(), slots: newSlots(g.MaxConnections)}
			p.servers[key] = sv
		}
		keys, list = append(keys, key), append(list, sv)
	}
	e.keys = keys
	return list
}

// changed puts the latest options in force, and drops what no group names.
func (p *pool) changed() {
	if g := p.latest(); g != nil {
		for _, sv := range p.servers {
			sv.slots.resize(g.MaxConnections)
		}
	}
	p.sweep()
	p.watch()
}

// sweep drops the servers that no group names any more, unless somebody uses
// them: then they go with the last of those.
func (p *pool) sweep() {
	named := map[string]bool{}
	for _, g := range p.groups {
		for _, at := range g.Servers {
			named[at.label()] = true
		}
	}
	wanted := map[string]bool{}
	for label, e := range p.entries {
		if !named[label] {
			delete(p.entries, label)
			p.fleet.meters.forget(p.name, label)
			continue
		}
		for _, key := range e.keys {
			wanted[key] = true
		}
	}
	for key, sv := range p.servers {
		if sv.gone = !wanted[key]; sv.gone {
			p.fleet.farewell(sv.dismiss())
			sv.leave()
		}
	}
	for label := range p.entries {
		p.show(label)
	}
	p.vanish()
}

// vanish drops the pool when nobody needs it.
func (p *pool) vanish() {
	if len(p.groups) == 0 && len(p.servers) == 0 && p.fleet.pools[p.name] == p {
		delete(p.fleet.pools, p.name)
	}
}

// show tells the meters how the servers of an entry are.
func (p *pool) show(label string) {
	known, up, connections := false, false, 0
	for _, sv := range p.servers {
		if sv.label == label {
			known = true
			up = up || !sv.out && !sv.gone
			connections += sv.slots.held() + len(sv.idle)
		}
	}
	if p.entries[label] != nil && known {
		p.fleet.meters.state(p.name, label, up, connections)
	}
}

// remember returns the memory of refused recipients: the old one if its
// settings are the same.
func (p *pool) remember(o *RecipientOptions) *Recipients {
	switch {
	case o == nil:
		p.recipients = nil
	case p.recipients == nil || p.remembered != *o:
		now := p.fleet.env.Now
		if now == nil {
			now = time.Now
		}
		p.recipients, p.remembered = NewRecipients(*o, now), *o
	}
	return p.recipients
}
