package upstream_test

import (
	"io"
	"net/netip"
	"testing"
	"time"

	"github.com/mailweir/mailweir/filters"
	"github.com/mailweir/mailweir/proxy/upstream"
)

// A check comes as a session of our own: with the identity, which is ourselves.
// What the server offers such a session is remembered.
func TestCheckLearns(t *testing.T) {
	const offer = "250-mx.example\r\n250 SIZE 10\r\n"
	o := upstream.Options{
		Name: "mx", Hostname: "relay.example", MaxConnections: 10, Identity: upstream.XCLIENT,
		Health:  upstream.Health{Interval: 20 * time.Millisecond, Timeout: 10 * time.Second},
		BackOff: upstream.BackOff{First: time.Second, Max: time.Minute},
	}
	for range 2 { // one alone is not checked
		at := netip.MustParseAddrPort(play(t, func(m *mta) {
			says := map[string][]string{ // in its order, and as far as the test's end lets it
				"EHLO relay.example":                        {"250-mx.example\r\n250 XCLIENT NAME ADDR", "250-mx.example\r\n250 SIZE 10"},
				"XCLIENT ADDR=127.0.0.1 NAME=relay.example": {"220 mx.example"},
				"QUIT": {"221 bye"},
			}
			io.WriteString(m.conn, "220 mx.example\r\n")
			for line := m.line(); line != ""; line = m.line() {
				if len(says[line]) == 0 {
					m.t.Errorf("the upstream heard %q", line)
					return
				}
				io.WriteString(m.conn, says[line][0]+"\r\n")
				says[line] = says[line][1:]
			}
		}))
		o.Servers = append(o.Servers, upstream.Server{Host: at.Addr().String(), Port: at.Port(), Weight: 1})
	}
	fleet := upstream.NewFleet(filters.Env{})
	t.Cleanup(fleet.Close)
	g := fleet.Group(o)
	defer g.Close()
	for deadline := time.Now().Add(20 * time.Second); string(g.Keywords()) != offer; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the group knows %q", g.Keywords())
		}
	}
	if again := fleet.Group(o); string(again.Keywords()) != offer {
		t.Error("another group of that name does not know it")
	} else {
		again.Close()
	}
}
