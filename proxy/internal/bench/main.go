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
	"syscall"
)

func main() {
	if len(os.Args) == 4 && os.Args[1] == doNothing {
		if err := serveNothing(os.Args[2], os.Args[3]); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	output := flag.String("o", "", "`file` to write the figures into, between its markers")
	rounds := flag.Int("rounds", 5, "rounds to measure, after one to warm up")
	scale := flag.Float64("scale", 1, "factor for the number of messages")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *output, *rounds, *scale); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, output string, rounds int, scale float64) error {
	if rounds < 1 || scale <= 0 {
		return fmt.Errorf("want at least one round, and messages")
	}
	// For 1000 idle sessions with two sockets each; children inherit it.
	if err := raiseFileLimit(8192); err != nil {
		return err
	}
	field, err := newField(ctx)
	if err != nil {
		return err
	}
	defer field.close()
	report := machine(ctx, field)
	for _, w := range workloads {
		w = w.scaled(scale)
		results, err := measure(ctx, field.source, w, rounds, field.runners)
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		field.sent += w.messages * (rounds + 1)
		report += table(w, results, rounds)
	}
	latency, err := field.measureLatency(ctx, scale)
	if err != nil {
		return fmt.Errorf("latency: %w", err)
	}
	report += latency
	if err := field.ours().checkLog(field.sent); err != nil {
		return err
	}
	idle, err := field.measureIdle(ctx)
	if err != nil {
		return fmt.Errorf("idle sessions: %w", err)
	}
	report += idle
	milters, err := field.measureMilters(ctx, rounds, scale)
	if err != nil {
		return fmt.Errorf("milters: %w", err)
	}
	report += milters
	if output == "" {
		return nil
	}
	return rewrite(output, report)
}

func raiseFileLimit(n uint64) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	limit.Cur = max(limit.Cur, min(n, limit.Max))
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
}
