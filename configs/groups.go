package configs

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mailweir/mailweir/rules/strict"
)

// use is where a group is used.
type use struct {
	ref  *UpstreamRef
	path string // in the file
	own  string // the name of a group that is spelt out there
}

// uses returns where groups are used.
func (c *Config) uses() []use {
	var list []use
	for i := range c.Listeners {
		l := &c.Listeners[i]
		if l.Mode == MTA {
			continue
		}
		path, own := fmt.Sprintf("listeners[%d]", i), "listener "+scalar(l.Name)
		list = append(list, use{&l.Upstream, path + ".upstream", own})
		for j := range l.Routes {
			r := &l.Routes[j]
			list = append(list, use{&r.Upstream, fmt.Sprintf("%s.routes[%d].upstream", path, j), own + " route " + r.first()})
		}
	}
	return list
}

// Groups returns the groups that listeners and routes use, each once.
func (c *Config) Groups() []Upstream {
	var list []Upstream
	seen := map[string]bool{}
	for _, u := range c.uses() {
		if name := u.ref.Name; !seen[name] {
			seen[name] = true
			list = append(list, Upstream{name, u.ref.Group})
		}
	}
	return list
}

// resolve gives each reference its group, and each group its name.
func (c *Config) resolve() {
	for _, u := range c.uses() {
		if !u.ref.Called {
			u.ref.Name = u.own
		} else if i := c.upstream(u.ref.Name); i >= 0 {
			u.ref.Group = c.Upstreams[i].Group
		}
	}
}

// upstream returns the number of the group of that name, -1 if there is none.
func (c *Config) upstream(name string) int {
	return slices.IndexFunc(c.Upstreams, func(u Upstream) bool { return u.Name == name })
}

// checkGroups holds the names of groups to be unique, and those that are called
// to exist.
func (c *Config) checkGroups(r *strict.Report) {
	names := make([]string, len(c.Upstreams))
	for i, u := range c.Upstreams {
		names[i] = u.Name
		if u.Name != "" && slices.Contains(names[:i], u.Name) {
			r.Item("upstreams", i, fmt.Sprintf("a second one named %q", u.Name), "give it a name of its own")
		}
	}
	for _, u := range c.uses() {
		if u.ref.Called && !slices.Contains(names, u.ref.Name) {
			r.Path(u.path, fmt.Sprintf("there is no group %q in upstreams", u.ref.Name), groupHint(u.ref.Name, names))
		}
	}
}

// groupHint says what to write in place of the name of a group that there is
// not.
func groupHint(name string, names []string) string {
	const most = 8
	names = slices.DeleteFunc(slices.Clone(names), func(s string) bool { return !isGroupName(s) })
	slices.Sort(names)
	names = slices.Compact(names)
	if _, err := ParseServerAddress(name); err == nil || strings.Contains(name, ":") {
		return fmt.Sprintf("write upstream: {address: %q}", name)
	}
	hint := strict.Suggest(name, names)
	switch {
	case hint != "":
		return hint
	case len(names) == 0:
		return fmt.Sprintf("write upstream: {address: \"%s:25\"}, or add upstreams with a group of that name", name)
	case len(names) <= most:
		return "there are " + strings.Join(names, ", ")
	}
	return ""
}
