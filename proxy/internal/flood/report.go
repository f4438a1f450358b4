package flood

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// A Result is what came of a flood.
type Result struct {
	Crowd      *Crowd
	Made       int // connections
	Took       time.Duration
	Limits     map[string]int // that were hit, by reason
	Sender     *Sender
	CPU        time.Duration // of mailweir
	RSS        int64         // at most, in octets
	Goroutines int           // at most
}

const head = "| flood | connections | turned away as | legitimate messages | slowest | CPU | memory, peak | goroutines, peak |\n" +
	"| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |\n"

// Table returns the results in Markdown.
func Table(results []Result) string {
	text := head
	for _, r := range results {
		text += r.row()
	}
	return text
}

func (r Result) row() string {
	var reasons []string
	for _, reason := range slices.Sorted(maps.Keys(r.Limits)) {
		reasons = append(reasons, fmt.Sprintf("%s %d", reason, r.Limits[reason]))
	}
	deferred := ""
	if r.Sender.Deferred > 0 {
		deferred = fmt.Sprintf(", after %d tries that were not taken", r.Sender.Deferred)
	}
	return fmt.Sprintf("| %s: %s | %d in %.0f s | %s | %d of %d%s | %.1f s | %.1f s | %.0f MiB | %d |\n", r.Crowd.Name, r.Crowd.Does, r.Made, r.Took.Seconds(),
		strings.Join(reasons, ", "), len(r.Sender.Sent), len(r.Sender.Sent), deferred, r.Sender.Slowest.Seconds(), r.CPU.Seconds(), float64(r.RSS)/(1<<20), r.Goroutines)
}
