package relay_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/mailweir/mailweir/proxy/relay"
)

// swap puts other settings in force.
func (r *rig) swap(change func(*relay.Options)) (over <-chan struct{}) {
	o := settings(r.T, slog.New(r.journal))
	o.Upstream, o.Limiter = behind(r.fleet, r.up.addr, maxConnections), r.limiter
	change(&o)
	return r.relay.Swap(o)
}

func isOver(over <-chan struct{}) bool {
	select {
	case <-over:
		return true
	case <-time.After(20 * time.Millisecond):
		return false
	}
}

// A session keeps the settings under which it began.
func TestSwap(t *testing.T) {
	r := newRig(t, nil)
	old := r.dial()
	old.say("", "220 weir.example")
	up := newMTA(t)
	over := r.swap(func(o *relay.Options) {
		o.Hostname, o.Upstream, o.MaxErrors = "other.example", behind(r.fleet, up.addr, 4), 2
	})
	old.say(strings.Repeat("NONSENSE\r\n", 3), "500", "500", "500")
	old.say(hello+envelope, "250", "250", "250")
	fresh := r.dial()
	fresh.say("", "220 other.example")
	fresh.say(strings.Repeat("NONSENSE\r\n", 2), "500", "500", "421")
	fresh.wantEnd()
	fresh.Close()
	if isOver(over) {
		t.Error("over, and a session is under way")
	}
	again := r.swap(func(o *relay.Options) {})
	if !isOver(again) {
		t.Error("nobody has the second settings, and they are not over")
	}
	old.say("RSET\r\nQUIT\r\n", "250", "221")
	old.Close()
	select {
	case <-over:
	case <-time.After(10 * time.Second):
		t.Error("the former settings are in use")
	}
}
