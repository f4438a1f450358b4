// Bench measures what mailweir costs beside other ways to pass SMTP on, and
// writes the figures into a document.
//
// The same messages go from smtp-source to smtp-sink, both of Postfix, on
// loopback: through each of the peers in turn, round by round, so that a
// machine that is slower for a while is so for all of them. The same is done
// to Postfixes that ask no milter, one that does nothing, and mailweir. There
// is no absolute limit that a run must keep: figures of different machines do
// not compare.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/mailweir/mailweir/proxy/internal/marked"
)

func main() {
	if len(os.Args) == 4 && os.Args[1] == doNothing {
		if err := serveNothing(os.Args[2], os.Args[3]); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	if len(os.Args) == 3 && os.Args[1] == takeAll {
		fmt.Fprintln(os.Stderr, "bench:", serveSink(os.Args[2]))
		os.Exit(1)
	}
	output := flag.String("o", "", "`file` to write the figures into, between its markers")
	rounds := flag.Int("rounds", 5, "rounds to measure, after one to warm up")
	scale := flag.Float64("scale", 1, "factor for the number of messages")
	only := flag.String("only", "", "the one `part` to measure: "+strings.Join(partNames(), ", "))
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *output, *only, *rounds, *scale); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// parts are what is measured.
var parts = []struct {
	name    string
	measure func(f *field, ctx context.Context, rounds int, scale float64) (string, error)
}{
	{"workloads", (*field).measureWorkloads},
	{"profile", func(f *field, ctx context.Context, _ int, _ float64) (string, error) { return f.measureProfile(ctx) }},
	{"latency", func(f *field, ctx context.Context, _ int, scale float64) (string, error) {
		return f.measureLatency(ctx, scale)
	}},
	{"groups", func(f *field, ctx context.Context, _ int, scale float64) (string, error) {
		return f.measureGroups(ctx, scale)
	}},
	{"known", func(f *field, ctx context.Context, _ int, scale float64) (string, error) {
		return f.measureKnown(ctx, scale)
	}},
	{"refused", (*field).measureRefused},
	{"crowd", (*field).measureCrowd},
	{"milters", (*field).measureMilters},
}

func partNames() []string {
	var names []string
	for _, p := range parts {
		names = append(names, p.name)
	}
	return names
}

func run(ctx context.Context, output, only string, rounds int, scale float64) error {
	switch {
	case rounds < 1 || scale <= 0:
		return fmt.Errorf("want at least one round, and messages")
	case only != "" && !slices.Contains(partNames(), only):
		return fmt.Errorf("there is no part %q: there are %s", only, strings.Join(partNames(), ", "))
	case only != "" && output != "":
		return fmt.Errorf("-o writes all parts: leave out -only")
	}
	// Children inherit it.
	if err := raiseFileLimit(8192); err != nil {
		return err
	}
	field, err := newField(ctx)
	if err != nil {
		return err
	}
	defer field.close()
	report := machine(ctx, field)
	for _, p := range parts {
		if only != "" && p.name != only {
			continue
		}
		text, err := p.measure(field, ctx, rounds, scale)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		report += text
	}
	if err := field.check(); err != nil {
		return err
	}
	if output == "" {
		return nil
	}
	return marked.Rewrite(output, "bench", report)
}

func raiseFileLimit(n uint64) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	limit.Cur = max(limit.Cur, min(n, limit.Max))
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
}
