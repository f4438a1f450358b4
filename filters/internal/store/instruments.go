package store

import "github.com/mailweir/mailweir/filters"

// instruments are what the operator watches of a store.
type instruments struct {
	reads, lost, failures filters.Counter
	entries               filters.Gauge
}

// The values of their labels, as lists so that no call makes one.
var (
	memory    = []string{"memory"}
	file      = []string{"file"}
	none      = []string{"none"}
	tooLarge  = []string{"too_large"}
	queueFull = []string{"queue_full"}
)

func newInstruments(env filters.Env) instruments {
	m := instruments{
		reads:    env.Counter("mailweir_state_reads_total", "Look-ups of what is remembered beyond sessions, by where it was found.", "source"),
		lost:     env.Counter("mailweir_state_lost_total", "Entries that were not stored, or not in the file.", "reason"),
		failures: env.Counter("mailweir_state_write_failures_total", "Failed attempts to write the state file."),
		entries:  env.Gauge("mailweir_state_entries", "Entries that are remembered beyond sessions.", "place"),
	}
	for _, source := range [][]string{memory, file, none} { // show them before the first event, too
		m.reads.Add(0, source...)
	}
	m.lost.Add(0, tooLarge...)
	m.lost.Add(0, queueFull...)
	m.entries.Set(0, memory...)
	return m
}
