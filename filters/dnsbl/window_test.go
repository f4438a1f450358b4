package dnsbl

import (
	"math/rand/v2"
	"testing"
)

// TestWindow compares the window with a slow one.
func TestWindow(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var w window
	var order []uint64 // as the subjects came
	state := map[uint64]bool{}
	for range 20_000 {
		subject, listed := uint64(random.IntN(2*windowSize)), random.IntN(3) == 0
		w.note(subject, listed)
		if _, known := state[subject]; !known {
			order = append(order, subject)
			if len(order) > windowSize {
				delete(state, order[0])
				order = order[1:]
			}
		}
		state[subject] = listed

		n := 0
		for _, listed := range state {
			if listed {
				n++
			}
		}
		share, enough := w.share()
		if enough != (len(state) >= windowLeast) || enough && share != float64(n)/float64(len(state)) {
			t.Fatalf("share %v of %d, want %d of %d", share, len(w.ring), n, len(state))
		}
		if len(w.at) != len(w.ring) || len(w.ring) > windowSize {
			t.Fatalf("%d subjects in %d places", len(w.at), len(w.ring))
		}
	}
}
