package configs

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// upstreams compares the groups that have names.
func (d *differ) upstreams(old, now []Upstream) {
	find := func(list []Upstream, name string) *Upstream {
		if i := slices.IndexFunc(list, func(u Upstream) bool { return u.Name == name }); i >= 0 {
			return &list[i]
		}
		return nil
	}
	for _, u := range old {
		if find(now, u.Name) == nil {
			d.where = "upstream " + u.Name
			d.add("", "removed")
		}
	}
	for _, u := range now {
		d.where = "upstream " + u.Name
		if was := find(old, u.Name); was != nil {
			d.group("", was.Group, u.Group)
		} else {
			d.add("", "added")
		}
	}
}

// group compares the settings of two groups. One server each is told as the
// address that it is.
func (d *differ) group(prefix string, old, now Group) {
	if len(old.Servers) == 1 && len(now.Servers) == 1 {
		old.Address, old.Servers = old.Servers[0].Address, nil
		now.Address, now.Servers = now.Servers[0].Address, nil
	}
	d.options(prefix, reflect.ValueOf(old), reflect.ValueOf(now))
}

// ref compares two references. What changes in a group that is called by its
// name is told of the group.
func (d *differ) ref(key string, old, now UpstreamRef) {
	switch {
	case !old.Called && !now.Called:
		d.group(key+".", old.Group, now.Group)
	case old.shown() != now.shown():
		d.add(key, old.shown()+" -> "+now.shown())
	}
}

// shown tells which group it is, in short.
func (r UpstreamRef) shown() string {
	if r.Called {
		return scalar(r.Name)
	}
	list := make([]string, len(r.Servers))
	for i, s := range r.Servers {
		list[i] = scalar(s.Address.String())
	}
	if len(list) == 1 {
		return "{address: " + list[0] + "}"
	}
	return "{servers: [" + strings.Join(list, ", ") + "]}"
}

// routes compares where the mail for each domain goes. The order of routes says
// nothing.
func (d *differ) routes(key string, old, now []Route) {
	was, is := byDomain(old), byDomain(now)
	for _, r := range old {
		for _, domain := range r.Domains {
			if is[domain] == nil {
				d.add(fmt.Sprintf("%s[%s]", key, domain), "removed")
			}
		}
	}
	told := map[[2]*Route]bool{}
	for i := range now {
		for _, domain := range now[i].Domains {
			at, before := fmt.Sprintf("%s[%s]", key, domain), was[domain]
			switch pair := [2]*Route{before, &now[i]}; {
			case before == nil:
				d.add(at, "added, to "+now[i].Upstream.shown())
			case before.Upstream.Called || now[i].Upstream.Called || !told[pair]:
				d.ref(at+".upstream", before.Upstream, now[i].Upstream)
				told[pair] = true
			}
		}
	}
}

func byDomain(routes []Route) map[Domain]*Route {
	m := map[Domain]*Route{}
	for i := range routes {
		for _, domain := range routes[i].Domains {
			m[domain] = &routes[i]
		}
	}
	return m
}
