package relay_test

import (
	"net/netip"
	"testing"

	"github.com/mailweir/mailweir/proxy/relay"
	"github.com/mailweir/mailweir/proxy/upstream"
)

// groups are the settings of a test with several upstreams.
type groups struct {
	*testing.T
	fleet *upstream.Fleet
}

// of returns the group of a fake.
func (g *groups) of(name string, f *fake, change func(*upstream.Options)) *upstream.Group {
	o := upstream.Options{
		Name:           name,
		Hostname:       "weir.example",
		Servers:        []upstream.Server{serverOf(f)},
		LMTP:           f.lmtp,
		MaxConnections: maxConnections,
	}
	if change != nil {
		change(&o)
	}
	group := g.fleet.Group(o)
	g.Cleanup(group.Close)
	return group
}

// serverOf returns where a fake is.
func serverOf(f *fake) upstream.Server {
	at := netip.MustParseAddrPort(f.addr)
	return upstream.Server{Host: at.Addr().String(), Port: at.Port(), Weight: 1}
}

// newTown starts a relay before several upstreams.
func newTown(t *testing.T, change func(*groups, *relay.Options)) *rig {
	t.Helper()
	g := &groups{t, newFleet()}
	t.Cleanup(func() {
		g.fleet.Close()
		if n := g.fleet.Held(); n != 0 {
			t.Errorf("%d upstream connections are still counted", n)
		}
	})
	return newRig(t, func(o *relay.Options) { change(g, o) })
}

// talk says each line when the one before it was answered, and compares the
// beginnings of the replies.
func (c *client) talk(pairs ...string) {
	c.Helper()
	for i := 0; i < len(pairs); i += 2 {
		c.say(pairs[i]+"\r\n", pairs[i+1])
	}
}
