package proxy_test

import "testing"

// scriptedUpstreams are the upstreams of a transcript by their names, the
// listener's own under "".
type scriptedUpstreams map[string]*scriptedUpstream

func (tr *transcript) newUpstreams(t *testing.T, stage *stage) scriptedUpstreams {
	t.Helper()
	all := scriptedUpstreams{"": newScriptedUpstream(t, stage, tr.upstream)}
	for name, scenes := range tr.others {
		all[name] = newScriptedUpstream(t, stage, scenes)
	}
	return all
}

// end waits until all of them have played their parts.
func (all scriptedUpstreams) end(t *testing.T) {
	t.Helper()
	for _, u := range all {
		u.end(t)
	}
}

// places are the addresses of upstreams, by their names.
type places map[string]string

func (all scriptedUpstreams) places() places {
	at := places{}
	for name, u := range all {
		at[name] = u.addr
	}
	return at
}

// name gives the upstreams of a configuration their addresses, and adds those
// that it says nothing of.
func (at places) name(config map[string]any) {
	list, _ := config["upstreams"].([]any)
	said := map[string]bool{}
	for _, one := range list {
		if u, ok := one.(map[string]any); ok {
			name, _ := u["name"].(string)
			u["address"], said[name] = at[name], true
		}
	}
	for name, addr := range at {
		if name != "" && !said[name] {
			list = append(list, map[string]any{"name": name, "address": addr})
		}
	}
	if len(list) > 0 {
		config["upstreams"] = list
	}
}
