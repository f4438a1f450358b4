package ordeal_test

import (
	"testing"
	"time"

	"github.com/mailweir/mailweir/proxy/internal/ordeal"
	"github.com/mailweir/mailweir/proxy/internal/peer"
)

// A filtered is an MTA that asks a milter, and puts mail off while there is none.
type filtered struct {
	name  string
	usual int // messages, unless told
	start func(t *testing.T, relayhost, milter string) peer.MTA
}

var filteredMTAs = []filtered{
	{"milter, Postfix", 600, func(t *testing.T, relayhost, milter string) peer.MTA {
		return peer.Postfix(t, peer.PostfixOptions{
			Relayhost: relayhost,
			Milter:    milter,
			Default:   "tempfail",
			// A message to three recipients goes out as one.
			Main: map[string]string{"smtp_destination_recipient_limit": "50"},
		})
	}},
	{"milter, Sendmail", 120, func(t *testing.T, relayhost, milter string) peer.MTA {
		return peer.Sendmail(t, peer.SendmailOptions{Relayhost: relayhost, Milter: milter, Flag: "T"})
	}},
}

// test sends messages through a real MTA that asks a mailweir which is killed
// time and again. Each message that the MTA has acknowledged arrives once, and
// none arrives that mailweir has not seen to its end: it bears mailweir's field.
func (f filtered) test(t *testing.T, binary peer.Mailweir) *ordeal.Judgement {
	messages, seed := ordealSize(t, f.usual)
	ledger := &ordeal.Ledger{Foreign: true}
	sink := upstreamOf(t, ledger, ordeal.Options{Name: "sink", Seed: seed, Original: asSent})
	milter := binary.Milter(t, peer.MilterOptions{Chain: adding, Unix: true})
	mta := f.start(t, sink.Addr, milter.Address)
	m := newMortal(ledger, seed)
	m.start = func() { milter.Start(t) }
	m.kill = func() { killAlive(t, milter.Process) }
	m.run(t, ordeal.Sender{Addr: mta.Address(), Seed: seed, Messages: messages, Crowd: 16, Rudeness: 0.02, Ledger: ledger, Kill: m.order})
	mta.Settle(t, time.Minute)
	sink.Close()
	j := judge(t, ledger, messages)
	if j.Kills == 0 || j.Outcomes[ordeal.Deferred] == 0 {
		t.Error("that was no ordeal: nothing was killed, or nothing was put off")
	}
	for why, n := range j.Windows {
		if why != ordeal.ClientLeft {
			t.Errorf("%d messages have passed that the MTA has not acknowledged: %s", n, why)
		}
	}
	return j
}

// asSent takes the fields away that the MTA and mailweir have added.
func asSent(text []byte) (original []byte, wrong string) {
	return withoutPassed(peer.Message{Data: text}.BelowReceived())
}
