package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// table returns, and prints, the results of a workload.
func table(w workload, results map[string][]result, rounds int) string {
	var text strings.Builder
	fmt.Fprintf(&text, "\n### %s\n\n%s; median of %d rounds (least to most).\n\n", w.name, w, rounds)
	speed, cost := "messages/s", "CPU per message, µs"
	if w.bulk {
		speed, cost = "MB/s", "CPU per MB, µs"
	}
	fmt.Fprintf(&text, "| | %s | %s | CPU beside %s |\n| --- | ---: | ---: | ---: |\n", speed, cost, baseline)
	for _, p := range peers {
		rs := results[p.name]
		if rs == nil {
			continue
		}
		work := float64(w.messages)
		if w.bulk {
			work *= float64(w.octets) / 1e6
		}
		fmt.Fprintf(&text, "| %s | %s |", p.name, spread(rs, 0, func(r result) float64 { return work / r.took.Seconds() }))
		if p.program == nil {
			text.WriteString(" | |\n")
			continue
		}
		fmt.Fprintf(&text, " %s |", spread(rs, 0, func(r result) float64 { return r.cpu.Seconds() * 1e6 / work }))
		fmt.Fprintf(&text, " %s |\n", beside(rs, results[baseline]))
	}
	fmt.Print(text.String())
	return text.String()
}

// spread returns the median of a figure, and its least and most.
func spread(rs []result, digits int, figure func(result) float64) string {
	values := make([]float64, len(rs))
	for i, r := range rs {
		values[i] = figure(r)
	}
	slices.Sort(values)
	return fmt.Sprintf("%.*f (%.*f to %.*f)", digits, median(values), digits, values[0], digits, values[len(values)-1])
}

// beside compares the cost with the baseline's, round by round.
func beside(rs, base []result) string {
	if base == nil {
		return ""
	}
	ratios := make([]float64, len(rs))
	for i := range rs {
		ratios[i] = float64(rs[i].cpu) / float64(base[i].cpu)
	}
	slices.Sort(ratios)
	return fmt.Sprintf("%.2f (%.2f to %.2f)", median(ratios), ratios[0], ratios[len(ratios)-1])
}

// median returns the middle of sorted values.
func median[T cmp.Ordered](sorted []T) T { return sorted[len(sorted)/2] }

// machine tells where the figures are from.
func machine(ctx context.Context, f *field) string {
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	text := fmt.Sprintf("Measured on %d cores, %s, Linux %s, with %s", runtime.NumCPU(), runtime.GOARCH,
		bytes.TrimSpace(kernel), runtime.Version())
	postfix := runner{peer: peer{version: []string{"-dh", "mail_version"}}, file: filepath.Join(filepath.Dir(f.source), "postconf")}
	text += ", Postfix " + postfix.released(ctx)
	for _, r := range f.runners {
		if r.version != nil {
			text += ", " + r.name + " " + r.released(ctx)
		}
	}
	return text + ".\n"
}
