package relay_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/mailweir/mailweir/proxy/relay"
)

// swap puts other settings in force.
func (r *rig) swap(change func(*relay.Options)) (over <-chan struct{}) {
	o := settings(r.T, slog.New(r.journal))
	o.Upstream, o.Limiter = r.up.addr, r.limiter
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
	over := r.swap(func(o *relay.Options) { o.Hostname, o.Upstream, o.MaxErrors = "other.example", up.addr, 2 })
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

// The connections to an upstream that stays are counted together, and a new
// limit is in force at once.
func TestSwapCountsUpstreamTogether(t *testing.T) {
	r := newRig(t, func(o *relay.Options) {
		o.MaxConnections = 1
		o.Timeouts.Upstream.Connect = 50 * time.Millisecond
	})
	first := r.dial()
	first.say("", "220")
	first.say(hello, "250")
	r.swap(func(o *relay.Options) {
		o.MaxConnections = 1
		o.Timeouts.Upstream.Connect = 50 * time.Millisecond
	})
	refused := r.dial()
	refused.say("", "220")
	refused.say(hello, "421")
	refused.Close()
	r.swap(func(o *relay.Options) { o.MaxConnections = 2 })
	second := r.dial()
	second.say("", "220")
	second.say(hello, "250")
	waiting := r.dial()
	waiting.say("", "220")
	waiting.say(hello)
	second.say("QUIT\r\n", "221") // makes room
	waiting.say("", "250")
}

// Who waits for a place gets it in turn, when there is one, or when there are to
// be more.
func TestSlots(t *testing.T) {
	s := relay.NewSlots(1)
	ctx := context.Background()
	if !s.Take(ctx) {
		t.Fatal("no place in an empty house")
	}
	short, cancel := context.WithTimeout(ctx, 5*time.Millisecond)
	defer cancel()
	if s.Take(short) {
		t.Error("two have one place")
	}
	order := make(chan int, 3)
	for i := range 3 {
		before := s.Waiting()
		go func() { s.Take(ctx); order <- i }()
		for s.Waiting() == before {
			time.Sleep(time.Millisecond)
		}
	}
	s.Release()
	if i := <-order; i != 0 {
		t.Errorf("number %d came first", i)
	}
	s.Resize(3)
	if <-order+<-order != 3 || s.Waiting() != 0 {
		t.Error("more places, and somebody waits")
	}
	s.Resize(1)
	s.Release()
	s.Release()
	if s.Take(short) {
		t.Error("one place too many")
	}
	s.Release()
	if !s.Take(ctx) {
		t.Error("no place, and nobody is there")
	}
}
