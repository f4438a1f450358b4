package upstream

import (
	"math/rand/v2"
	"net/netip"
	"time"
)

// server is one MTA. Of its state the fleet's mutex guards all but slots and
// addrs.
type server struct {
	record
	pool  *pool
	label string // of its entry
	key   string // in pool.servers
	name  string // its address, for the log
	slots *slots
	addrs recall[[]netip.Addr]

	pins int  // searches that may choose it, and connections that are not idle
	gone bool // no group names it any more
	ours int  // slots that no session has: of checks and of farewells

	out      bool      // the last attempt has failed
	failures int       // in a row
	until    time.Time // when it may be tried again
	trying   bool      // one is trying it again, or checking it
	checkAt  time.Time // when it is looked at next; zero if that is open
	suspect  bool      // it is looked at even while sessions use it

	idle  []*Conn // the latest last
	timer *time.Timer
}

// held returns how many slots sessions have.
func (sv *server) held() int { return sv.slots.held() - sv.ours }

// unpin lets go of a server; the last one to do so drops it, if it is gone.
func (sv *server) unpin() {
	sv.pins--
	sv.leave()
}

func (sv *server) leave() {
	if !sv.gone || sv.pins > 0 || sv.pool.servers[sv.key] != sv {
		return
	}
	delete(sv.pool.servers, sv.key)
	sv.pool.vanish()
}

// standing is whether a session should be given a server.
type standing uint8

const (
	standsUp  standing = iota // all is well
	standsDue                 // it has failed; its back-off has passed: one may try
	standsOut                 // it has failed, or somebody else is trying
)

func (sv *server) standing(now time.Time) standing {
	switch {
	case !sv.out:
		return standsUp
	case sv.trying || now.Before(sv.until):
		return standsOut
	}
	return standsDue
}

// outcome is how an attempt to use a server has ended.
type outcome uint8

const (
	succeeded outcome = iota
	failed
	undecided // it says nothing about the server
)

// settle takes note of an attempt that g has made; err is why it failed. mine
// says that the attempt had set trying.
func (sv *server) settle(g *Group, o outcome, err error, mine bool) {
	f := sv.pool.fleet
	f.mu.Lock()
	defer f.mu.Unlock()
	if mine {
		sv.trying = false
	}
	now, until := time.Now(), sv.until
	switch o {
	case succeeded:
		sv.revive()
		sv.checkAt = now.Add(jitter(g.Health.Interval))
	case failed:
		sv.fail(&g.Options, err, now)
	}
	if mine || sv.until != until {
		sv.pool.nudge()
	}
	sv.pool.show(sv.label)
}

func (sv *server) revive() {
	if sv.out && !sv.gone {
		sv.pool.fleet.log.Info("upstream server is back", "upstream", sv.pool.name, "server", sv.name)
	}
	sv.out, sv.failures, sv.until = false, 0, time.Time{}
}

// fail takes the server out. Failures of attempts that began before it went
// out, or that were made because all are out, do not make it worse.
func (sv *server) fail(o *Options, err error, now time.Time) {
	if sv.out && now.Before(sv.until) {
		return
	}
	first := !sv.out
	sv.out = true
	sv.until = now.Add(jitter(o.BackOff.after(sv.failures)))
	sv.failures++
	if first && !sv.gone {
		sv.pool.fleet.log.Warn("upstream server is out", "upstream", sv.pool.name, "server", sv.name,
			"error", err.Error(), "next_try", sv.until.UTC().Format(time.RFC3339))
	}
}

// suspicion is how long a server that is in doubt is left unchecked: clients that
// it refuses may come fast.
const suspicion = 5 * time.Second

// doubt has the server looked at soon: what has happened may be its fault, or
// that of one client.
func (sv *server) doubt(g *Group) {
	f := sv.pool.fleet
	f.mu.Lock()
	defer f.mu.Unlock()
	if soon := time.Now().Add(jitter(min(g.Health.Interval, suspicion))); sv.checkAt.IsZero() || soon.Before(sv.checkAt) {
		sv.checkAt = soon
	}
	sv.suspect = true
	sv.pool.nudge()
}

// Doubt says that the server has failed where that may be its fault, or that of
// one client. One of several is looked at soon then, and is out if it fails again.
func (c *Conn) Doubt() {
	if c.group.checked() {
		c.at.doubt(c.group)
	}
}

// after returns how long a server is left alone that has failed once more,
// after so many failures.
func (b BackOff) after(failures int) time.Duration {
	d := b.First
	for range failures {
		if d >= b.Max {
			break
		}
		d *= 2
	}
	return min(d, max(b.Max, b.First))
}

// jitter spreads d by a fifth, so that servers are not tried all at once.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64()))
}
