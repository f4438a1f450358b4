package upstream

import (
	"slices"
	"time"
)

// reuse returns a connection that was kept, for which a slot is taken, nil if
// there is none.
func (o *opening) reuse(sv *server) *Conn {
	for {
		c := o.unshelve(sv)
		if c == nil {
			return nil
		}
		if c.Ready() != nil {
			c.Close()
			continue
		}
		c.group, c.vacant = o.Group, false
		c.sessions++
		c.bind(o.ctx, c.raw)
		o.fleet.mu.Lock()
		sv.pins++
		sv.pool.show(sv.label)
		o.fleet.mu.Unlock()
		o.fleet.meters.reuse(o.Name)
		return c
	}
}

// unshelve takes the latest connection that suits.
func (o *opening) unshelve(sv *server) *Conn {
	f := o.fleet
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(sv.idle) > 0 {
		last := len(sv.idle) - 1
		c := sv.idle[last]
		sv.idle[last] = nil
		sv.idle = sv.idle[:last]
		if o.takes(c) {
			return c
		}
		f.farewell([]*Conn{c})
	}
	return nil
}

// retire has the connections ended in d that nobody has used since then.
func (sv *server) retire(d time.Duration) {
	if sv.timer == nil {
		sv.timer = time.AfterFunc(d, sv.expire)
		return
	}
	sv.timer.Reset(d)
}

// expire ends the connections that were kept for long enough.
func (sv *server) expire() {
	f := sv.pool.fleet
	f.mu.Lock()
	defer f.mu.Unlock()
	patience := time.Duration(0)
	if g := sv.pool.latest(); g != nil {
		patience = g.ReuseIdle
	}
	n := 0
	for n < len(sv.idle) && time.Since(sv.idle[n].since) >= patience {
		n++
	}
	old := slices.Clone(sv.idle[:n])
	sv.idle = slices.Delete(sv.idle, 0, n)
	if len(sv.idle) > 0 {
		sv.retire(patience - time.Since(sv.idle[0].since))
	}
	f.farewell(old)
	sv.pool.show(sv.label)
}

// dismiss gives up all connections that nobody uses, and returns them.
func (sv *server) dismiss() []*Conn {
	if sv.timer != nil {
		sv.timer.Stop()
	}
	list := sv.idle
	sv.idle = nil
	return list
}

// farewell ends connections that nobody uses. f.mu is held.
func (f *Fleet) farewell(list []*Conn) {
	if len(list) == 0 || f.start(func() { sayGoodbye(list) }) {
		return
	}
	for _, c := range list {
		c.Close()
	}
}

// sayGoodbye ends connections properly, all at once: it takes no longer for
// many than for one.
func sayGoodbye(list []*Conn) {
	end := time.Now().Add(quitPatience)
	left := func() time.Duration { return max(time.Until(end), time.Millisecond) }
	for _, c := range list {
		c.Command("QUIT", nil)
		if c.Flush(left()) != nil {
			c.Close()
		}
	}
	for _, c := range list {
		c.Reply(left())
		c.Close()
	}
}
