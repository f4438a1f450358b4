package upstream

import "time"

// Up reports whether the group has a server that sessions are given, as far as
// is known without asking: one whose last attempt has not failed. Where nobody
// but sessions would find out that a server is back, one counts too that may be
// tried again. A group none of whose servers is known yet is up.
func (g *Group) Up() bool {
	f := g.fleet
	f.mu.Lock()
	defer f.mu.Unlock()
	known, now := false, time.Now()
	for _, sv := range g.pool.servers {
		if sv.gone {
			continue
		}
		known = true
		if !sv.out || !g.checked() && sv.standing(now) != standsOut {
			return true
		}
	}
	return !known
}
