package proxy_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// Two hundred sessions have a message each, and Postfix few connections.
func testReuseReal(t *testing.T, binary peer.Mailweir) {
	ca := peer.NewAuthority(t)
	for _, test := range []struct {
		name, keys string
		kept       bool
	}{
		{"kept", "reuse: true", true},
		{"kept, TLS", "reuse: true, tls: {mode: required, server_name: mx.test.example, ca: " + ca.File + "}", true},
		{"not kept", "reuse: false", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			sink := peer.Sink(t)
			postfix := peer.Postfix(t, peer.PostfixOptions{Relayhost: sink.Addr, TLS: ca.Server(t, "mx.test.example")})
			relay := binary.RelayWith(t, peer.RelayOptions{
				Listener: fmt.Sprintf("upstream: {address: %q, %s}", postfix.Addr, test.keys),
			})
			peer.Logged(t, postfix, ": disconnect from ") // the rig has looked whether Postfix listens
			before := strings.Count(postfix.Log(), ": connect from ")
			peer.SmtpSource(t, relay.Addr, "-s", "5", "-m", "200", "-N", "-f", "from@test.example", "-t", "to@test.example")
			times := map[string]int{}
			for _, m := range sink.Wait(t, 200, time.Minute) {
				times[m.To]++
			}
			for i := range 200 {
				if to := fmt.Sprintf("%dto@test.example", i+1); times[to] != 1 {
					t.Errorf("%s got %d messages, want one", to, times[to])
				}
			}
			n := strings.Count(postfix.Log(), ": connect from ") - before
			t.Logf("200 messages of 200 sessions: %d connections to Postfix", n)
			if test.kept && (n < 2 || n > 12) || !test.kept && n != 200 {
				t.Errorf("Postfix logs %d connections", n)
			}
			inPeace(t, relay.Log())
		})
	}
}
