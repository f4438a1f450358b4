package configs

import (
	"cmp"
	"reflect"
	"slices"
	"strings"

	"github.com/mailweir/mailweir/filters/chain"
	"github.com/mailweir/mailweir/rules/strict"
)

// Change is one difference between two configurations. No text in it holds a
// secret.
type Change struct {
	Where   string // "listener mx", "upstream inbound" or "filter helo"; "" for other settings
	Key     string // of the setting, with dots between nested ones; "" for the listener or filter itself
	What    string // what has become of it: "info -> debug", "added", "removed", "moved to the front" ...
	Restart bool   // it takes a restart
}

// Name returns what has changed.
func (c Change) Name() string {
	if c.Where == "" || c.Key == "" {
		return c.Where + c.Key
	}
	return c.Where + ": " + c.Key
}

// String returns the change in one line.
func (c Change) String() string { return c.Name() + ": " + c.What }

// fixed are the settings that stay as they are until a restart: what is shared
// by all that runs, and opened at the start.
var fixed = []string{"dns", "state", "admin", "log.format", "user", "group", "reuse_port"}

// Keeping returns c with those settings as old has them that cannot change
// without a restart.
func (c *Config) Keeping(old *Config) *Config {
	kept := *c
	kept.DNS, kept.State, kept.Admin, kept.Log.Format = old.DNS, old.State, old.Admin, old.Log.Format
	kept.User, kept.Group, kept.ReusePort = old.User, old.Group, old.ReusePort
	kept.Listeners = slices.Clone(c.Listeners)
	for i, l := range kept.Listeners {
		if was := find(old.Listeners, l); was != nil && was.Address == l.Address && was.Mode == l.Mode {
			kept.Listeners[i].SocketMode, kept.Listeners[i].SocketGroup = was.SocketMode, was.SocketGroup
		}
	}
	return &kept
}

// Diff returns what changes when a configuration takes the place of another: of
// the settings as they are in force, with defaults, not of the texts.
func Diff(old, now *Config) []Change {
	d := differ{}
	d.options("", reflect.ValueOf(*old), reflect.ValueOf(*now), "upstreams", "listeners")
	for i, c := range d.list {
		d.list[i].Restart = slices.ContainsFunc(fixed, func(key string) bool { return c.Key == key || strings.HasPrefix(c.Key, key+".") })
	}
	d.upstreams(old.Upstreams, now.Upstreams)
	d.listeners(old.Listeners, now.Listeners)
	d.chain(old.Chain, now.Chain)
	return d.list
}

// differ collects changes.
type differ struct {
	where string
	list  []Change
}

func (d *differ) add(key, what string) {
	d.list = append(d.list, Change{Where: d.where, Key: key, What: what})
}

func find(list []Listener, like Listener) *Listener {
	if i := slices.IndexFunc(list, func(l Listener) bool { return l.Name == like.Name }); i >= 0 {
		return &list[i]
	}
	return nil
}

func (d *differ) listeners(old, now []Listener) {
	for _, l := range old {
		if find(now, l) == nil {
			d.where = "listener " + l.Name
			d.add("", "removed")
		}
	}
	for _, l := range now {
		d.where = "listener " + l.Name
		was := find(old, l)
		if was == nil {
			d.add("", "added")
			continue
		}
		first := len(d.list)
		d.options("", reflect.ValueOf(*was), reflect.ValueOf(l), "name")
		for i, c := range d.list[first:] {
			d.list[first+i].Restart = strings.HasPrefix(c.Key, "socket_") && was.Address == l.Address && was.Mode == l.Mode
		}
	}
}

func (d *differ) chain(old, now []chain.Spec) {
	was := make(map[string]chain.Spec, len(old))
	before := make([]string, len(old))
	for i, s := range old {
		was[s.Name], before[i] = s, s.Name
	}
	is := make(map[string]bool, len(now))
	after := make([]string, len(now))
	for i, s := range now {
		is[s.Name], after[i] = true, s.Name
	}
	for _, name := range before {
		if !is[name] {
			d.where = "filter " + name
			d.add("", "removed")
		}
	}
	stayed := inOrder(before, after)
	place := "to the front"
	for _, s := range now {
		d.where = "filter " + s.Name
		o, known := was[s.Name]
		switch {
		case !known:
			d.add("", "added "+place)
		case !stayed[s.Name]:
			d.add("", "moved "+place)
		}
		if known {
			d.entry(o, s)
		}
		place = "behind " + s.Name
	}
}

// entry compares two entries of one name.
func (d *differ) entry(old, now chain.Spec) {
	if old.Kind.Name != now.Kind.Name {
		d.add("", "of kind "+now.Kind.Name+" instead of "+old.Kind.Name)
		return
	}
	d.options("", reflect.ValueOf(commonIn(old)), reflect.ValueOf(commonIn(now)), "name")
	d.options("", reflect.Indirect(reflect.ValueOf(old.Conf)), reflect.Indirect(reflect.ValueOf(now.Conf)))
}

// commonIn returns what entries of any kind have.
func commonIn(s chain.Spec) common {
	return common{
		Action:    s.Action,
		OnError:   s.OnError,
		Timeout:   cmp.Or(s.Timeout, s.Kind.Timeout),
		Listeners: s.Listeners,
		Quarantine: quarantine{
			Header:   headerField(s.Quarantine.Field),
			Redirect: mailbox(s.Quarantine.Redirect),
		},
	}
}

// options compares two structs, but for the options that are named.
func (d *differ) options(prefix string, old, now reflect.Value, but ...string) {
	for _, f := range strict.Fields(now.Type()) {
		if !slices.Contains(but, f.Name) {
			d.value(prefix+f.Name, f.Secret, f.Of(old), f.Of(now))
		}
	}
}
