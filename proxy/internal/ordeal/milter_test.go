package ordeal_test

import (
	"testing"
	"time"

	"github.com/mailweir/mailweir/proxy/internal/ordeal"
	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// testMilter sends messages through a real Postfix that asks a mailweir
// which is killed time and again, and puts mail off while there is none. Each
// message that Postfix has acknowledged arrives once, and none arrives that
// mailweir has not seen to its end: it bears mailweir's field.
func testMilter(t *testing.T, binary peer.Mailweir) {
	messages, seed := ordealSize(t, 600)
	ledger := &ordeal.Ledger{Foreign: true}
	sink := upstreamOf(t, ledger, ordeal.Options{Name: "sink", Seed: seed, Original: asSent})
	milter := binary.Milter(t, peer.MilterOptions{Chain: adding, Unix: true})
	mta := peer.Postfix(t, peer.PostfixOptions{
		Relayhost: sink.Addr,
		Milter:    milter.Address,
		Default:   "tempfail",
		// A message to three recipients goes out as one.
		Main: map[string]string{"smtp_destination_recipient_limit": "50"},
	})
	m := newMortal(ledger, seed)
	m.start = func() { milter.Start(t) }
	m.kill = func() { killAlive(t, milter.Process) }
	m.run(t, ordeal.Sender{Addr: mta.Addr, Seed: seed, Messages: messages, Crowd: 16, Rudeness: 0.02, Ledger: ledger, Kill: m.order})
	mta.Settle(t, time.Minute)
	sink.Close()
	j := judge(t, ledger, messages)
	if j.Kills == 0 || j.Outcomes[ordeal.Deferred] == 0 {
		t.Error("that was no ordeal: nothing was killed, or nothing was put off")
	}
	for why, n := range j.Windows {
		if why != ordeal.ClientLeft {
			t.Errorf("%d messages have passed that Postfix has not acknowledged: %s", n, why)
		}
	}
}

// asSent takes the fields away that Postfix and mailweir have added.
func asSent(text []byte) (original []byte, wrong string) {
	return withoutPassed(peer.Message{Data: text}.BelowReceived())
}
