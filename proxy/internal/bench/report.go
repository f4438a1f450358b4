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
func table(w workload, runners []*runner, results map[string][]result, rounds int) string {
	var text strings.Builder
	fmt.Fprintf(&text, "\n### %s\n\n%s; median of %d rounds (least to most).\n\n", w.name, w, rounds)
	speed, cost, unit := "messages/s", "CPU per message, µs", 1.0
	if w.bulk {
		speed, cost, unit = "MB/s", "CPU per MB, µs", float64(w.octets)/1e6
	}
	fmt.Fprintf(&text, "| | %s | beside %s | %s | beside %[2]s |\n| --- | ---: | ---: | ---: | ---: |\n", speed, baseline, cost)
	perSecond := func(r result) float64 { return float64(r.messages) * unit / r.took.Seconds() }
	perUnit := func(r result) float64 { return r.cpu.Seconds() * 1e6 / (float64(r.messages) * unit) }
	base := results[baseline]
	for _, p := range runners {
		rs := results[p.name]
		fmt.Fprintf(&text, "| %s | %s | %s |", p.name, spread(rs, 0, perSecond), ratio(rs, base, perSecond))
		if p.proc == nil {
			text.WriteString(" | |\n")
			continue
		}
		fmt.Fprintf(&text, " %s | %s |\n", spread(rs, 0, perUnit), ratio(rs, base, perUnit))
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
	return ratio(rs, base, func(r result) float64 { return float64(r.cpu) })
}

// ratio compares a figure with the baseline's, round by round.
func ratio(rs, base []result, figure func(result) float64) string {
	if base == nil {
		return ""
	}
	ratios := make([]float64, len(rs))
	for i := range rs {
		ratios[i] = figure(rs[i]) / figure(base[i])
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
	text += ".\n"
	if len(f.absent) > 0 {
		text += "\nNot installed, and so not measured: " + strings.Join(f.absent, ", ") + ".\n"
	}
	return text
}
