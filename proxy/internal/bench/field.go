package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// A field is the peers, all running, and the sink behind them.
type field struct {
	dir     string
	source  string // the program that sends
	sink    *runner
	runners []*runner
	sent    int // messages, through each of the peers
}

// newField starts all that is installed.
func newField(ctx context.Context) (_ *field, err error) {
	f := &field{}
	if f.source, err = installed("smtp-source")(ctx, ""); err != nil {
		return nil, fmt.Errorf("%w (Debian package postfix)", err)
	}
	if f.dir, err = os.MkdirTemp("", "mailweir-bench-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.close()
		}
	}()
	if f.sink, err = sink.prepare(ctx, f.dir, ""); err != nil {
		return nil, err
	}
	for _, p := range peers {
		r, err := p.prepare(ctx, f.dir, f.sink.addr)
		if errors.Is(err, errNotInstalled) {
			fmt.Fprintf(os.Stderr, "%v: not measured\n", err)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		f.runners = append(f.runners, r)
	}
	return f, nil
}

// sink takes all mail and forgets it.
var sink = peer{
	name:    "smtp-sink",
	program: installed("smtp-sink"),
	configure: func(_, addr, _ string) ([]string, error) {
		args := []string{"-m", "4000", addr, "1024"}
		if os.Getuid() == 0 {
			args = append([]string{"-u", "nobody"}, args...)
		}
		return args, nil
	},
}

func (f *field) close() {
	for _, r := range f.runners {
		r.stop()
	}
	if f.sink != nil {
		f.sink.stop()
	}
	os.RemoveAll(f.dir)
}

// A result is what a run through a peer cost.
type result struct {
	took time.Duration
	cpu  time.Duration // of the peer; 0 where there is none
	own  time.Duration // of cpu, what the milter took
}

// A subject is what takes a workload's messages.
type subject interface {
	title() string
	measure(ctx context.Context, source string, w workload) (result, error)
}

// measure runs the workload through all subjects, round by round, and returns
// the results by title. The first round only warms up.
func measure[S subject](ctx context.Context, source string, w workload, rounds int, subjects []S) (map[string][]result, error) {
	results := map[string][]result{}
	for round := range rounds + 1 {
		for i := range subjects {
			s := subjects[(i+round)%len(subjects)]
			res, err := s.measure(ctx, source, w)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.title(), err)
			}
			if round > 0 {
				results[s.title()] = append(results[s.title()], res)
			}
		}
		fmt.Fprintf(os.Stderr, "%s: round %d of %d\n", w.name, round, rounds)
	}
	return results, nil
}

// settling lets a program close its connections: that is work too.
const settling = 100 * time.Millisecond

func (r *runner) measure(ctx context.Context, source string, w workload) (result, error) {
	before, err := r.cpu()
	if err != nil {
		return result{}, err
	}
	took, err := w.send(ctx, source, r.addr)
	if err != nil {
		return result{}, err
	}
	time.Sleep(settling)
	after, err := r.cpu()
	return result{took: took, cpu: after - before}, err
}

// checkLog holds mailweir to its work: a line of the log for each message.
func (r *runner) checkLog(messages int) error {
	log, err := os.ReadFile(r.log)
	if err != nil {
		return err
	}
	if n := bytes.Count(log, []byte(`"msg":"accepted"`)); n != messages {
		return fmt.Errorf("mailweir logged %d of %d messages", n, messages)
	}
	return nil
}

// ours returns mailweir, which every field has.
func (f *field) ours() *runner { return f.runners[slices.IndexFunc(f.runners, (*runner).isOurs)] }

func (r *runner) isOurs() bool { return r.name == ourName }

func (r *runner) title() string { return r.name }

// measureWorkloads returns, as tables, what the peers cost.
func (f *field) measureWorkloads(ctx context.Context, rounds int, scale float64) (string, error) {
	report := ""
	for _, w := range workloads {
		w = w.scaled(scale)
		results, err := measure(ctx, f.source, w, rounds, f.runners)
		if err != nil {
			return "", fmt.Errorf("%s: %w", w.name, err)
		}
		f.sent += w.messages * (rounds + 1)
		report += table(w, results, rounds)
	}
	return report, nil
}
