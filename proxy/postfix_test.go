package proxy_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// TestPostfix runs mailweir as users do, in front of a real Postfix that
// passes all mail on to a recorder.
func TestPostfix(t *testing.T) {
	binary := peer.BuildMailweir(t)
	t.Run("thousand", func(t *testing.T) { testThousand(t, binary) })
	t.Run("corpus", func(t *testing.T) { testCorpus(t, binary) })
	t.Run("memory", func(t *testing.T) { testMemory(t, binary) })
	t.Run("smuggling", func(t *testing.T) { testSmuggling(t, binary) })
	t.Run("swaks", func(t *testing.T) { testSwaks(t, binary) })
	t.Run("refusals", func(t *testing.T) { testRefusals(t, binary) })
}

// allKinds is a chain with every kind of filter, none of which refuses a
// decent client on loopback.
const allKinds = `[
  access: {deny: [192.0.2.0/24]},
  helo: {exempt: []},
  verbs: {},
  size: {max: 50MiB},
  rcpt: {domains: [test.example], relay_from: []},
]`

// chains are the two ways of a message through mailweir: unseen, and under the
// eyes of filters.
var chains = map[string]string{"no filter": "[]", "all kinds": allKinds}

// A route is the way of a message: mailweir, Postfix, recorder.
type route struct {
	relay   *peer.Relay
	postfix *peer.PostfixInstance
	sink    *peer.Recorder
}

func newRoute(t *testing.T, binary peer.Mailweir, listener, chain string) route {
	t.Helper()
	sink := peer.Sink(t)
	postfix := peer.Postfix(t, peer.PostfixOptions{Relayhost: sink.Addr})
	return route{binary.Relay(t, postfix.Addr, listener, chain), postfix, sink}
}

// arrived waits until all that Postfix took has been passed on.
func (r route) arrived(t *testing.T) []peer.Message {
	t.Helper()
	r.postfix.Settle(t, time.Minute)
	return r.sink.Messages()
}

// None of a thousand messages is lost and none comes twice, and the log has a
// record of each.
func testThousand(t *testing.T, binary peer.Mailweir) {
	for _, test := range []struct {
		name string
		args []string
	}{
		{"a session each", nil},
		{"kept sessions", []string{"-d"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRoute(t, binary, "{}", allKinds)
			peer.SmtpSource(t, r.relay.Addr, append(test.args, "-s", "10", "-m", "1000", "-N", "-l", "2000",
				"-f", "from@test.example", "-t", "to@test.example")...)
			times := map[string]int{}
			for _, m := range r.arrived(t) {
				times[m.To]++
			}
			for i := range 1000 {
				if to := fmt.Sprintf("%dto@test.example", i+1); times[to] != 1 {
					t.Errorf("%s got %d messages, want one", to, times[to])
				}
			}
			if n := len(r.relay.Records(t, "accepted")); n != 1000 {
				t.Errorf("the log has %d accepted messages, want 1000", n)
			}
		})
	}
}
